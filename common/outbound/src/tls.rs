//! Which certificates the other side may have.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{CallError, error::Result};

/// How calls that are encrypted are set up; one for all of a process.
#[derive(Default)]
pub(crate) struct Tls {
    // Reading the system's authorities takes milliseconds, so whoever calls nobody does not.
    verifying: OnceLock<Arc<ClientConfig>>,
    trusting: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Returns how to encrypt, and whether the other side must have a certificate that can be trusted.
    pub(crate) fn config(&self, verifies: bool) -> Result<Arc<ClientConfig>> {
        let kept = if verifies { &self.verifying } else { &self.trusting };
        if let Some(config) = kept.get() {
            return Ok(config.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|_| CallError::Untrusted("TLS can't be set up here".to_owned()))?;
        let config = if verifies {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots).with_no_client_auth()
        } else {
            let every = Arc::new(Unverified(provider));
            builder.dangerous().with_custom_certificate_verifier(every).with_no_client_auth()
        };
        Ok(kept.get_or_init(|| Arc::new(config)).clone())
    }
}

/// Tells what is wrong with the other side, without its name.
pub(crate) fn told_of_tls(failure: &rustls::Error) -> CallError {
    use rustls::{CertificateError, Error};
    let reason = match failure {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "nobody known has signed its certificate",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name",
        Error::InvalidCertificate(_) => "its certificate is not valid",
        _ => "it does not speak TLS as this server does",
    };
    CallError::Untrusted(reason.to_owned())
}

/// Takes every certificate, as a block may ask for it, and still checks that the other side has its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
