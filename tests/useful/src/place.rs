//! Where the cases run: a server with the canary clinic and more schemas, and a gateway with the rules of the useful set.

use std::path::Path;
use tests::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    rules::Bundle,
    server::{CANARIES, Postgres},
};

/// A server and a gateway in front of it.
#[derive(Debug)]
pub struct Place {
    /// The gateway.
    pub gateway: Gateway,
    /// The largest OID before any case ran; larger ones are objects that cases made.
    pub last_oid: u32,
    server: Postgres,
}

/// Says where `tidegate` and `policy-compiler` are, before anything is started; otherwise they are built.
pub fn programs_in(folder: &Path) {
    tests::programs::built_in(folder);
}

impl Place {
    /// Starts both.
    pub fn open() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Answers are compared: a server that looks after its tables by itself would get new statistics, and with them other
        // plans and another order of rows, between the two sides of a case.
        let server = Postgres::start("autovacuum = off");
        server.load_clinic("clinic", clinic::Options { patients: CANARIES, seed: 1, canary: true });
        server.sql("clinic", &std::fs::read_to_string(here.join("schema.sql")).unwrap());
        server.sql("clinic", "vacuum analyze");
        let bundle = Bundle::from_files(&[here.join("rules/rules.yaml")], "clinic", &server);
        let gateway = Setup::new(&bundle, &server).start();
        let oid = "select greatest((select max(oid::bigint) from pg_class), (select max(oid::bigint) from pg_type))";
        let last_oid = server.sql("clinic", oid).trim().parse().unwrap();
        Self { gateway, last_oid, server }
    }

    /// The server itself, as the account the gateway uses.
    pub fn direct(&self) -> Endpoint {
        self.server.endpoint("clinic", "gateway")
    }

    /// Through the gateway, as this user.
    pub fn through(&self, user: &str) -> Endpoint {
        self.gateway.endpoint(user)
    }

    /// Protected values outside the clinic; nothing that the gateway sends may hold one of them.
    pub fn protected_values(&self) -> Vec<String> {
        let values = "select member_number from billing.claims union select iban from billing.payments union select \
                      contact_email from billing.payers union select contact_phone from billing.payers union select \
                      technician from lab.results union select device_serial from lab.results union select sample from \
                      lab.results union select full_name from org.people union select email from org.people union \
                      select phone from org.people union select badge from org.people";
        self.server.sql("clinic", values).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Columns of the schemas that the rules speak of, and how many of them are protected.
    pub fn protected(&self) -> (usize, usize) {
        let columns = "select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on \
                       n.oid = c.relnamespace where n.nspname in ('clinic', 'billing', 'lab', 'stock', 'org') and \
                       c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped";
        let all = self.server.sql("clinic", columns).trim().parse().unwrap();
        (crate::case::protected_columns(), all)
    }
}
