//! Typed ids: a flow's id can't be passed where a flow run's is wanted.

/// Declares the typed id of a record that is made as any other: `/// what it is of`, `Name`.
macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $crate::model::id::id_type! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// Makes a time-ordered id (UUID version 7).
            pub fn new() -> Self {
                Self(::uuid::Uuid::now_v7())
            }
        }
    };
}

/// Declares the type of an id, whose `new` stands elsewhere.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub ::uuid::Uuid);

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<::uuid::Uuid> for $name {
            fn from(id: ::uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for ::uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

pub(crate) use {id_type, typed_id};
