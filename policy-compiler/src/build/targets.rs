//! `targets`: where the databases are.

use policy::model::{AuditMode, Target, UpstreamTls, WireProtocol};

use super::{Build, Named};
use crate::diagnostic::Diagnostic;
use crate::read::{Fields, shorten};
use crate::source::Place;
use crate::words;

impl Build<'_> {
    pub(super) fn targets(&mut self, written: &[Named<'_>]) {
        for named in written {
            let what = format!("target `{}`", named.name);
            let Some(fields) = Fields::of(named.node, words::TARGET, &what, self.report) else { continue };
            fields.word("protocol", words::PROTOCOLS, self.report);
            let tls = match fields.word("tls", words::TLS, self.report) {
                Some("disable") => UpstreamTls::Disable,
                Some("require") => UpstreamTls::Require,
                Some("verify-ca") => UpstreamTls::VerifyCa,
                _ => UpstreamTls::VerifyFull,
            };
            let audit = match fields.word("audit", words::AUDIT, self.report) {
                Some("intent") => AuditMode::Intent,
                Some("async") => AuditMode::Async,
                _ => AuditMode::Strict,
            };
            let address = fields.text("address", self.report).map(ToOwned::to_owned);
            if let (Some(address), Some(node)) = (&address, fields.get("address")) {
                self.address(address, node.place);
            }
            let database = fields.text("database", self.report).unwrap_or(named.name).to_owned();
            let account = fields.text("account", self.report).unwrap_or_default().to_owned();
            if account == "postgres" {
                let place = fields.get("account").map_or(named.place, |n| n.place);
                self.report.push(
                    Diagnostic::warning(
                        place,
                        "the gateway would log in as the superuser; rules then are the only border",
                    )
                    .fix("give it an account of its own with the rights its users need"),
                );
            }
            self.model.targets.push(Target {
                name: named.name.to_owned(),
                protocol: WireProtocol::Postgres,
                address: address.unwrap_or_default(),
                tls,
                database,
                account,
                audit,
                line: named.place.line,
            });
            self.origins.targets.push(named.place);
        }
        if written.is_empty() {
            let place = if self.sources.files().len() == 1 { Place::whole(0) } else { Place::BUILT_IN };
            self.report.push(
                Diagnostic::error(place, "no target is defined, so nothing could be reached")
                    .fix("add `targets: {warehouse: {address: \"db:5432\", account: gateway}}`"),
            );
        }
    }

    fn address(&mut self, address: &str, place: Place) {
        let ok = address.rsplit_once(':').is_some_and(|(host, port)| {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty()
                && (bracketed || !host.contains(':'))
                && !host.contains(char::is_whitespace)
                && !host.contains('/')
                && port.parse::<u16>().is_ok_and(|p| p > 0)
        });
        if !ok {
            let fix = if address.contains("://") {
                "write host and port only, for instance \"db:5432\"".to_owned()
            } else if !address.contains(':') && !address.contains(char::is_whitespace) {
                format!("write \"{}:5432\"", shorten(address))
            } else {
                "write host:port, for instance \"db:5432\" or \"[::1]:5432\"".to_owned()
            };
            self.error(place, format!("`{}` is not host:port", shorten(address)), fix);
        }
    }
}
