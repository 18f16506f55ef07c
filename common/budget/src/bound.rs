//! The bounds themselves.

/// Declares the bounds: what is bounded, the most that is allowed, its name, and what is said around the number.
macro_rules! bounds {
    ($($(#[$doc:meta])+ $bound:ident = $most:expr, $name:literal: $before:literal, $after:literal;)+) => {
        /// A bound that a request can go beyond.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bound {
            $($(#[$doc])+ $bound,)+
        }

        impl Bound {
            /// Returns every bound.
            pub const fn all() -> &'static [Self] {
                &[$(Self::$bound),+]
            }

            /// Returns the number, the name, and what is said before and after the number.
            const fn declared(self) -> (u64, &'static str, &'static str, &'static str) {
                match self {
                    $(Self::$bound => ($most, $name, $before, $after),)+
                }
            }
        }
    };
}

bounds! {
    /// How many values a JSON text has, those within each other included.
    ///
    /// 512 kB of parameters, the most that Prefect takes, are 262,144 values at most.
    JsonValues = 400_000, "json_values": "JSON may have", "values";
    /// How many values a body with filters has, each of which is held against many records.
    ///
    /// SQLite takes no more parameters in a statement, so that Prefect answers 500 beyond it.
    FilterValues = 32_766, "filter_values": "a request with filters may have", "values";
    /// How many bytes a pattern of a filter has.
    ///
    /// SQLite takes no longer ones, so that Prefect answers 500 beyond it.
    FilterPattern = 50_000, "filter_pattern": "a pattern of a filter may have", "bytes";
    /// How many bytes a pattern of a filter has in which a character may be any one.
    FilterWildcards = 4_096, "filter_wildcards": "a pattern with wildcards for one character may have", "bytes";
    /// How many steps the contract's check of a request takes, ten for each value that it may have.
    ContractSteps = 4_000_000, "contract_steps": "the check of a request may take", "steps";
    /// How many values placeholders are filled in with.
    PlaceholderValues = 500_000, "placeholder_values": "placeholders may stand for", "values";
    /// How many bytes placeholders are filled in with, more than a request has.
    PlaceholderBytes = 8 * 1024 * 1024, "placeholder_bytes": "placeholders may stand for", "bytes";
    /// How many bytes a template has.
    TemplateLength = 64 * 1024, "template_length": "a template may have", "bytes";
    /// How many signs and words that can nest a template has.
    ///
    /// Python, in which Prefect runs it, bears some hundreds within each other.
    TemplateNesting = 4_000, "template_nesting": "a template may have", "operators, brackets and conditions";
    /// How many instructions templates take, each as much as 64 bytes that they make.
    TemplateWork = 50_000, "template_work": "templates may take", "instructions, and 64 bytes for each";
    /// How many levels a value in a template has.
    TemplateValueDepth = 100, "template_value_depth": "a value in a template may have", "levels";
    /// How many parts a value in a template has, if it is a part of another one.
    TemplateValueParts = 1_000, "template_value_parts": "a value within another one in a template may have", "parts";
    /// How many levels of lists and objects a schema has.
    ///
    /// Python, in which Prefect reads it, bears about a hundred.
    SchemaNesting = 256, "schema_nesting": "a schema may have", "levels";
    /// How many schemas are applied within one another to a value and its parts.
    ///
    /// Python bears about two hundred.
    SchemaDepth = 400, "schema_depth": "schemas may lead to one another", "times";
    /// How many different patterns a schema has.
    SchemaPatterns = 128, "schema_patterns": "a schema may have", "different patterns";
    /// How many bytes one pattern has.
    PatternLength = 4_096, "pattern_length": "a pattern may have", "bytes";
    /// How many steps a pattern takes back while it is matched with a text.
    PatternSteps = 5_000, "pattern_steps": "a pattern may take", "steps back";
    /// How many steps it takes to hold values against schemas.
    ///
    /// A step takes Prefect about 10 microseconds, and us a fiftieth of that.
    SchemaSteps = 800_000, "schema_steps": "values may take", "steps to be held against schemas";
    /// How many steps it takes to say what is wrong with values, each of which takes memory.
    SchemaFaults = 300_000, "schema_faults": "values may take", "steps to say what is wrong with them";
    /// How many block documents lie within each other.
    ///
    /// Prefect follows 50 as well, and answers 500 beyond it.
    BlockNesting = 50, "block_nesting": "block documents may lie within each other up to", "levels";
    /// How many bytes the documents within block documents have together in one answer, each with 256 besides its data.
    ///
    /// A document may be within another one many times over, and so may those within it.
    BlockBytes = 16 * 1024 * 1024, "block_bytes": "the documents within block documents may have", "bytes";
    /// How many records block documents and schemas are put together of in one answer.
    BlockRecords = 10_000, "block_records": "blocks may be put together of", "records";
    /// How many schemas of blocks within a block are registered together with its own.
    NewBlockSchemas = 48, "new_block_schemas": "a schema may bring", "new schemas of blocks within the block";
    /// How many schedules a deployment has, all of which are looked at together.
    Schedules = 256, "schedules": "a deployment may have", "schedules";
    /// How many rules a recurrence has.
    RecurrenceRules = 64, "recurrence_rules": "a recurrence may have", "rules";
    /// How many steps it takes to find the instants of the recurrences of a deployment, after which they are held to be
    /// over.
    RecurrenceSteps = 1_000_000, "recurrence_steps": "the instants of a recurrence may take", "steps to be found";
    /// How many bytes an automation has as JSON, so that the events that tell of it are within their size.
    AutomationBytes = 200 * 1024, "automation_bytes": "an automation may have", "bytes";
    /// How many deployments the actions of an automation run, each of which finds the automation.
    AutomationDeployments = 45, "automation_deployments": "an automation may run", "different deployments";
    /// How many bytes a cron expression has.
    CronLength = 1_024, "cron_length": "a cron expression may have", "bytes";
}

impl Bound {
    /// Returns the most that is allowed.
    pub const fn most(self) -> u64 {
        self.declared().0
    }

    /// Returns the bound's name, by which answers tell it.
    pub const fn name(self) -> &'static str {
        self.declared().1
    }

    /// Returns what is said before and after the number.
    const fn words(self) -> (&'static str, &'static str) {
        let (_, _, before, after) = self.declared();
        (before, after)
    }

    /// Checks a size that is known before anything is done with it.
    ///
    /// # Errors
    /// [`Exceeded`] if it is beyond the bound.
    pub fn check(self, size: usize) -> Result<(), Exceeded> {
        let is_within = u64::try_from(size).is_ok_and(|size| size <= self.most());
        is_within.then_some(()).ok_or(Exceeded(self))
    }
}

/// What is asked for goes beyond a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Too much for this server: {} at most {} {} ({})", .0.words().0, .0.most(), .0.words().1, .0.name())]
pub struct Exceeded(pub Bound);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_answer_names_the_bound() {
        let told = Exceeded(Bound::TemplateLength).to_string();
        assert_eq!(told, "Too much for this server: a template may have at most 65536 bytes (template_length)");
    }

    #[test]
    fn every_bound_has_a_name_of_its_own() {
        let names: HashSet<_> = Bound::all().iter().map(|bound| bound.name()).collect();
        assert_eq!(names.len(), Bound::all().len());
    }

    #[test]
    fn a_size_may_be_as_much_as_the_bound() {
        let most = usize::try_from(Bound::CronLength.most()).unwrap();
        assert_eq!(Bound::CronLength.check(most), Ok(()));
        assert_eq!(Bound::CronLength.check(most + 1), Err(Exceeded(Bound::CronLength)));
    }
}
