//! The section `identity.saml`: providers of SAML, by their metadata, and what signs our requests to them.

use crate::config::path;
use crate::yaml::{Node, Placed, Report, Section};
use console::signin::{Attributes, Saml, SamlWay};
use saml::metadata::Provider;
use saml::{Certificate, SigningKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Name of the helper program, which lies beside this one.
const HELPER: &str = "tidegate-saml";

/// A provider as written.
#[derive(Clone, Debug)]
struct Way {
    name: Placed<String>,
    metadata: Placed<PathBuf>,
    attributes: Attributes,
}

/// The section.
#[derive(Clone, Debug)]
pub struct SamlSettings {
    key: Placed<PathBuf>,
    certificate: Placed<PathBuf>,
    entity: Option<String>,
    helper: Option<Placed<PathBuf>>,
    ways: Vec<Way>,
    /// Names of other issuers, which no provider may have.
    pub(super) taken: Vec<String>,
}

impl SamlSettings {
    /// Reads keys and metadata.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn open(&self) -> Result<Saml, String> {
        let text = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        let pem = |path: &Path| {
            let text = Zeroizing::new(text(path)?);
            let text = std::str::from_utf8(&text).map_err(|_| format!("{}: not PEM", path.display()))?;
            Ok::<_, String>(Zeroizing::new(text.to_owned()))
        };
        let (key, certificate) = (&self.key.value, &self.certificate.value);
        let signing = SigningKey::from_pem(&pem(key)?).map_err(|e| format!("{}: {e}", key.display()))?;
        let shown = Certificate::from_pem(&pem(certificate)?).map_err(|e| format!("{}: {e}", certificate.display()))?;
        let shown = shown.into_iter().next().ok_or_else(|| format!("{}: no certificate", certificate.display()))?;
        if !signing.is_of(&shown) {
            return Err(format!("{} is not the key of {}", key.display(), certificate.display()));
        }
        let mut ways: Vec<SamlWay> = Vec::new();
        for way in &self.ways {
            let file = &way.metadata.value;
            let provider = Provider::from_metadata(&text(file)?).map_err(|e| format!("{}: {e}", file.display()))?;
            if self.taken.contains(&provider.entity)
                || provider.entity == "local"
                || provider.entity.starts_with("urn:tidegate:")
            {
                return Err(format!("{}: its entityID is that of another issuer of identities", file.display()));
            }
            if ways.iter().any(|other| other.provider.entity == provider.entity) {
                return Err(format!("{}: another provider has the same entityID", file.display()));
            }
            ways.push(SamlWay { name: way.name.value.clone(), provider, attributes: way.attributes.clone() });
        }
        let helper = match &self.helper {
            Some(path) => path.value.clone(),
            None => {
                let own = std::env::current_exe().map_err(|e| format!("the place of this program: {e}"))?;
                own.with_file_name(HELPER)
            }
        };
        if !helper.is_file() {
            return Err(format!("the helper program {} is not there", helper.display()));
        }
        Ok(Saml::new(ways, self.entity.clone(), signing, shown, helper))
    }
}

/// Reads the section.
pub(crate) fn read(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<SamlSettings> {
    let mut section = Section::open("saml", node, &["key", "certificate", "entity", "helper", "providers"], report);
    let key = section.demand("key", report).and_then(|node| path("key", node, folder, report));
    let certificate = section.demand("certificate", report).and_then(|node| path("certificate", node, folder, report));
    let entity = text("entity", &mut section, report);
    let helper = section.take("helper").and_then(|node| path("helper", node, folder, report));
    let providers = section.demand("providers", report).map(|node| Section::open_free("providers", node, report));
    let mut ways = Vec::new();
    for (name, node) in providers.map(|section| section.rest().collect::<Vec<_>>()).unwrap_or_default() {
        ways.extend(way(name, node, folder, report));
    }
    Some(SamlSettings { key: key?, certificate: certificate?, entity, helper, ways, taken: Vec::new() })
}

fn text(name: &str, section: &mut Section, report: &mut Report<'_>) -> Option<String> {
    section.take(name).and_then(|node| report.scalar(name, node)).map(|text| text.value)
}

fn way(name: Placed<String>, node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<Way> {
    let known = &["metadata", "subject", "handle", "name", "groups"];
    let mut section = Section::open(&name.value, node, known, report);
    let metadata = section.demand("metadata", report).and_then(|node| path("metadata", node, folder, report));
    let attributes = Attributes {
        subject: text("subject", &mut section, report),
        handle: text("handle", &mut section, report),
        name: text("name", &mut section, report),
        groups: text("groups", &mut section, report).unwrap_or_else(|| "groups".to_owned()),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.value.is_empty() || !name.value.bytes().all(plain) {
        report.error(name.place, "the name of a provider is part of an address: letters, digits, `-` and `_`");
    }
    Some(Way { name, metadata: metadata?, attributes })
}
