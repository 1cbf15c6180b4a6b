//! `console.notices` and `console.approvers`: who is told outside, and which programs vote by signed messages.
//!
//! Secrets, and addresses that are secrets, come from files or the environment, never from the configuration.

use crate::config::{path, secret};
use crate::secrets::SecretSource;
use crate::yaml::{Node, Placed, Report, Section};
use console::notify::{Channel, Egress, Form, Inbound, Machine, Network, Secrets};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How a place is told.
#[derive(Clone, Debug)]
enum Kind {
    /// An incoming webhook of Slack's form; its address is the secret.
    Slack(Placed<SecretSource>),
    /// A signed webhook: address and secrets.
    Signed(Placed<String>, Vec<Placed<SecretSource>>),
}

/// A place that is told.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    name: String,
    kind: Kind,
    networks: Vec<Network>,
    ca: Option<Placed<PathBuf>>,
}

/// A program that votes.
#[derive(Clone, Debug)]
pub struct ApproverSettings {
    name: String,
    groups: Vec<String>,
    secrets: Vec<Placed<SecretSource>>,
}

fn secrets(section: &mut Section, folder: &Path, report: &mut Report<'_>) -> Vec<Placed<SecretSource>> {
    let names = ["secret", "next_secret"];
    names.iter().filter_map(|name| section.take(name).and_then(|node| secret(name, node, folder, report))).collect()
}

/// Reads `notices`.
pub(crate) fn notices(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Vec<NoticeSettings> {
    let mut all = Vec::new();
    for (name, node) in Section::open_free("notices", node, report).rest() {
        let known = ["slack", "url", "secret", "next_secret", "networks", "ca"];
        let mut section = Section::open(&name.value, node, &known, report);
        let slack = section.take("slack").and_then(|node| secret("slack", node, folder, report));
        let url = section.take("url").and_then(|node| report.scalar("url", node));
        let signed = secrets(&mut section, folder, report);
        let written = section.take("networks").map(|node| report.list("networks", node)).unwrap_or_default();
        let mut networks = Vec::new();
        for text in written {
            match Network::parse(&text.value) {
                Ok(network) => networks.push(network),
                Err(why) => report.error(text.place, why),
            }
        }
        let ca = section.take("ca").and_then(|node| path("ca", node, folder, report));
        let kind = match (slack, url, signed.is_empty()) {
            (Some(slack), None, true) => Kind::Slack(slack),
            (None, Some(url), false) => Kind::Signed(url, signed),
            _ => {
                let fix = "write `slack: { file: PATH }` with a file that holds the address, or `url` and `secret`";
                report.error(name.place, format!("`{}`: {fix}", name.value));
                continue;
            }
        };
        all.push(NoticeSettings { name: name.value, kind, networks, ca });
    }
    all
}

/// Reads `approvers`.
pub(crate) fn approvers(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Vec<ApproverSettings> {
    let mut all = Vec::new();
    for (name, node) in Section::open_free("approvers", node, report).rest() {
        let mut section = Section::open(&name.value, node, &["groups", "secret", "next_secret"], report);
        let groups = section.demand("groups", report).map(|node| report.list("groups", node)).unwrap_or_default();
        let secrets = secrets(&mut section, folder, report);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.value.is_empty() || name.value.len() > 32 || !name.value.chars().all(plain) {
            let text = format!("`{}`: a program's name has lower-case letters, digits and `-` alone", name.value);
            report.error(name.place, text);
        }
        if secrets.is_empty() {
            report.error(name.place, format!("`{}`: write `secret: {{ file: PATH }}`", name.value));
        }
        let groups = groups.into_iter().map(|text| text.value).collect();
        all.push(ApproverSettings { name: name.value, groups, secrets });
    }
    all
}

fn text(source: &Placed<SecretSource>) -> Result<Zeroizing<String>, String> {
    let found = source.value.resolve()?;
    let text = std::str::from_utf8(found.secret.expose()).map_err(|_| "a secret is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn resolved(of: &[Placed<SecretSource>]) -> Result<Secrets, String> {
    let texts: Vec<_> = of.iter().map(text).collect::<Result<_, _>>()?;
    Secrets::new(&texts)
}

/// Opens the channels.
///
/// # Errors
/// A secret or certificate cannot be read, or an address cannot be used.
pub(super) fn channels(settings: &[NoticeSettings]) -> Result<Vec<Channel>, String> {
    let open = |of: &NoticeSettings| {
        let wrong = |why: String| format!("`console.notices.{}`: {why}", of.name);
        let roots: Vec<Vec<u8>> = match &of.ca {
            Some(file) => CertificateDer::pem_file_iter(&file.value)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(format!("{}: {error}", file.value.display())))?
                .iter()
                .map(|der| der.to_vec())
                .collect(),
            None => rustls_native_certs::load_native_certs().certs.iter().map(|der| der.to_vec()).collect(),
        };
        let (address, form) = match &of.kind {
            Kind::Slack(source) => (text(source).map_err(wrong)?, Form::Slack),
            Kind::Signed(url, secrets) => {
                (Zeroizing::new(url.value.clone()), Form::Signed(resolved(secrets).map_err(wrong)?))
            }
        };
        // Without TLS only to networks that somebody named.
        let plain = !of.networks.is_empty();
        Channel::new(&of.name, &address, form, Egress::new(of.networks.clone()), plain, &roots).map_err(wrong)
    };
    settings.iter().map(open).collect()
}

/// Programs that vote.
///
/// # Errors
/// A secret cannot be read or used.
pub(super) fn inbound(settings: &[ApproverSettings]) -> Result<Inbound, String> {
    let open = |of: &ApproverSettings| {
        let secrets = resolved(&of.secrets).map_err(|why| format!("`console.approvers.{}`: {why}", of.name))?;
        Ok(Machine { name: of.name.clone(), groups: of.groups.clone(), secrets })
    };
    settings.iter().map(open).collect::<Result<_, String>>().map(Inbound::new)
}
