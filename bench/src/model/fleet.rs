//! Many gateways behind a load balancer: what each thing they use has to bear.
//!
//! ```text
//!  clients ─▶ load balancer ─▶ gateways ─▶ databases           a session holds one connection of each
//!                                 ├─▶ audit log on its own disk     a block of whole 4 KiB for each commit
//!                                 ├─▶ access store (PostgreSQL)     writers one after the other; every write wakes every gateway
//!                                 └─▶ witnesses                     a checkpoint of each log every ten seconds
//! ```
//!
//! Loads are means, but for the gateways: there clients are placed at random, on gateways by the balancer and on cores by the
//! kernel, and the fullest core counts. Deliberately absent: networks, failures, and the databases' own work.

use serde::Serialize;

use super::measured::Measured;

/// Bytes of a block's header and trailer, and what blocks are a multiple of (docs/audit-format.md).
const BLOCK_FRAME_BYTES: f64 = 272.0;
const BLOCK_BYTES: f64 = 4096.0;
/// An asynchronous commit waits this long for more records.
const COMMIT_EVERY_S: f64 = 0.05;
/// Looks at the change feed when nothing is notified, each second.
const LOOKS_PER_S: f64 = 4.0;
/// A witness is asked for each log this often, seconds.
const WITNESS_EVERY_S: f64 = 10.0;
/// Writes of a request for access, from asking to its use: request, vote, grant, use, end.
const WRITES_PER_REQUEST: f64 = 5.0;
/// Writes of a sign-in: the person, the password.
const WRITES_PER_SIGN_IN: f64 = 2.0;
const DAY_S: f64 = 86_400.0;

/// What is there, and what clients do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fleet {
    /// Clients that are connected.
    pub clients: f64,
    /// Gateways.
    pub gateways: f64,
    /// Cores of each.
    pub cores: f64,
    /// Memory of each, GiB.
    pub memory_gib: f64,
    /// `limits.sessions` of each.
    pub sessions_max: f64,
    /// Statements of a client in a second, in busy hours.
    pub statements_per_s: f64,
    /// How long a session lasts, seconds.
    pub session_s: f64,
    /// Part of the clients that read in bulk, and how fast, MB/s.
    pub bulk_share: f64,
    /// Megabytes in a second of each of those.
    pub bulk_mb_per_s: f64,
    /// Requests for access of a client on a working day of eight hours.
    pub requests_per_day: f64,
    /// Sign-ins likewise.
    pub sign_ins_per_day: f64,
    /// Databases, and the connections each takes.
    pub databases: f64,
    /// Connections of each.
    pub database_connections: f64,
    /// Cores of the access store's database.
    pub store_cores: f64,
    /// Witnesses that each log has; each sees every log.
    pub witnesses: f64,
    /// Cores of a witness.
    pub witness_cores: f64,
    /// Of the placement of clients.
    pub seed: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            clients: 10_000.0,
            gateways: 100.0,
            cores: 2.0,
            memory_gib: 4.0,
            sessions_max: 10_000.0,
            statements_per_s: 5.0,
            session_s: 600.0,
            bulk_share: 0.02,
            bulk_mb_per_s: 5.0,
            requests_per_day: 0.5,
            sign_ins_per_day: 2.0,
            databases: 20.0,
            database_connections: 1_000.0,
            store_cores: 4.0,
            witnesses: 2.0,
            witness_cores: 2.0,
            seed: 1,
        }
    }
}

/// Something that can break.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resource {
    /// What.
    pub name: &'static str,
    /// Load, in its unit.
    pub load: f64,
    /// What it bears.
    pub capacity: f64,
    /// Unit of both.
    pub unit: &'static str,
}

impl Resource {
    /// Load by capacity.
    #[must_use]
    pub fn used(&self) -> f64 {
        self.load / self.capacity
    }
}

/// The most that may be used of anything: queues grow beyond it.
pub const USED_MAX: f64 = 0.7;

/// Clients beyond which nothing is looked for.
pub const CLIENTS_MAX: f64 = 1_000_000.0;

/// Numbers from a seed (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// The fullest gateway and the fullest core when clients are placed at random.
struct Placed {
    sessions: f64,
    core_busy: f64,
}

impl Fleet {
    /// Statements of all clients in a second.
    #[must_use]
    pub fn statements(&self) -> f64 {
        self.clients * self.statements_per_s
    }

    fn logins(&self) -> f64 {
        self.clients / self.session_s
    }

    /// Writes into the access store in a second of the working day.
    #[must_use]
    pub fn store_writes(&self) -> f64 {
        let each = self.requests_per_day * WRITES_PER_REQUEST + self.sign_ins_per_day * WRITES_PER_SIGN_IN;
        self.clients * each / (DAY_S / 3.0)
    }

    fn placed(&self, measured: &Measured) -> Placed {
        let (gateways, cores) = (self.gateways.max(1.0) as usize, self.cores.max(1.0) as usize);
        let mut dice = Dice(self.seed);
        let mut sessions = vec![0.0; gateways];
        let mut busy = vec![0.0; gateways * cores];
        let small = self.statements_per_s * measured.cpu_us_per_statement / 1e6
            + measured.cpu_us_per_login / 1e6 / self.session_s;
        let bulk = self.bulk_mb_per_s / 1e3 * measured.cpu_s_per_gb;
        let bulk_clients = (self.clients * self.bulk_share) as usize;
        for client in 0..self.clients as usize {
            let gateway = dice.below(gateways);
            sessions[gateway] += 1.0;
            let core = gateway * cores + dice.below(cores);
            busy[core] += small + if client < bulk_clients { bulk } else { 0.0 };
        }
        let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
        Placed { sessions: most(&sessions), core_busy: most(&busy) }
    }

    /// Bytes that one gateway's audit log grows by in a second.
    #[must_use]
    pub fn audit_bytes_per_s(&self, measured: &Measured) -> f64 {
        let of_cores = self.gateways * self.cores;
        let statements = self.statements() / of_cores;
        let logins = self.logins() / of_cores;
        let bytes = statements * measured.audit_bytes_per_statement + logins * measured.audit_bytes_per_login;
        // A commit begins with the first record and takes what comes until its time is over.
        let begins = statements + logins;
        let commits = begins / (1.0 + begins * COMMIT_EVERY_S);
        if commits <= 0.0 {
            return 0.0;
        }
        let block = ((bytes / commits + BLOCK_FRAME_BYTES) / BLOCK_BYTES).ceil() * BLOCK_BYTES;
        commits * block * self.cores
    }

    /// Everything that can break.
    #[must_use]
    pub fn resources(&self, measured: &Measured) -> Vec<Resource> {
        let mut all = self.fullest(measured);
        all.extend(self.means(measured));
        all
    }

    /// Those that the placement of clients decides.
    fn fullest(&self, measured: &Measured) -> Vec<Resource> {
        let placed = self.placed(measured);
        let memory = measured.base_mib + placed.sessions * measured.session_kib / 1024.0;
        let resource = |name, load, capacity, unit| Resource { name, load, capacity, unit };
        vec![
            resource("fullest core of a gateway", placed.core_busy, 1.0, "cores"),
            resource("memory of the fullest gateway", memory, self.memory_gib * 1024.0, "MiB"),
            resource("sessions of the fullest gateway", placed.sessions, self.sessions_max, "sessions"),
        ]
    }

    /// The others.
    fn means(&self, measured: &Measured) -> Vec<Resource> {
        let writes = self.store_writes();
        // Every write wakes every gateway, unless it looks at that moment anyway.
        let looks = self.gateways * (LOOKS_PER_S + writes);
        let checkpoints = self.gateways / WITNESS_EVERY_S;
        let resource = |name, load, capacity, unit| Resource { name, load, capacity, unit };
        vec![
            resource("audit disk of a gateway", self.audit_bytes_per_s(measured) / 1e6, measured.disk_mb_per_s, "MB/s"),
            resource("access store: writers' lock", writes * measured.store_write_ms / 1e3, 1.0, "of its time"),
            resource("access store: change feed", looks * measured.store_look_us / 1e6, self.store_cores, "cores"),
            resource("a witness", checkpoints * measured.witness_us / 1e6, self.witness_cores, "cores"),
            resource(
                "connections of the databases",
                self.clients,
                self.databases * self.database_connections,
                "connections",
            ),
        ]
    }

    /// With so many clients on so many gateways.
    fn sized(&self, clients: f64, gateways: f64) -> Self {
        Self { clients, gateways, ..self.clone() }
    }

    /// Clients at which this resource is used too much, up to [`CLIENTS_MAX`], with `gateways` growing along if they are to.
    #[must_use]
    pub fn breaks_at(&self, measured: &Measured, name: &str, along: bool) -> Option<f64> {
        let used = |clients: f64| {
            let gateways =
                if along { (self.gateways * clients / self.clients).max(1.0).round() } else { self.gateways };
            let sized = self.sized(clients.round(), gateways);
            let of = |all: &[Resource]| all.iter().find(|resource| resource.name == name).map(Resource::used);
            // Placing a million clients takes its time: only for what depends on it.
            of(&sized.means(measured)).or_else(|| of(&sized.fullest(measured))).unwrap_or(0.0)
        };
        let (mut low, mut high) = (1.0, self.clients.max(1.0));
        while used(high) <= USED_MAX {
            (low, high) = (high, high * 2.0);
            if high > CLIENTS_MAX {
                return None;
            }
        }
        while high - low > (low * 0.01).max(1.0) {
            let middle = f64::midpoint(low, high);
            if used(middle) <= USED_MAX { low = middle } else { high = middle }
        }
        Some(low.round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_figures_and_others_do_not() {
        let (measured, fleet) = (Measured::default(), Fleet::default());
        assert_eq!(fleet.resources(&measured), fleet.resources(&measured));
        let other = Fleet { seed: 2, ..fleet };
        assert_ne!(fleet.resources(&measured)[0].load, other.resources(&measured)[0].load);
    }

    #[test]
    fn chance_makes_a_core_fuller_than_the_mean_and_no_client_is_lost() {
        let (measured, fleet) = (Measured::default(), Fleet { bulk_share: 0.0, ..Fleet::default() });
        let placed = fleet.placed(&measured);
        let mean = fleet.clients / fleet.gateways;
        assert!(placed.sessions > mean && placed.sessions < 2.0 * mean, "{}", placed.sessions);
        let one = Fleet { gateways: 1.0, cores: 1.0, ..fleet };
        let busy =
            one.statements() * measured.cpu_us_per_statement / 1e6 + one.logins() * measured.cpu_us_per_login / 1e6;
        assert!((one.placed(&measured).core_busy - busy).abs() < 1e-6 * busy);
    }

    #[test]
    fn a_quiet_gateway_writes_whole_blocks_and_a_busy_one_its_records() {
        let measured = Measured::default();
        let quiet = Fleet { clients: 1.0, gateways: 1.0, cores: 1.0, statements_per_s: 0.1, ..Fleet::default() };
        let per_statement = quiet.audit_bytes_per_s(&measured) / quiet.statements();
        assert!(per_statement > 4000.0, "{per_statement}");
        let busy = Fleet { clients: 10_000.0, ..quiet };
        let busy = Fleet { statements_per_s: 5.0, ..busy };
        let per_statement = busy.audit_bytes_per_s(&measured) / busy.statements();
        assert!(per_statement < 1.1 * measured.audit_bytes_per_statement + 20.0, "{per_statement}");
    }

    #[test]
    fn what_breaks_is_within_its_limit_just_before() {
        let (measured, fleet) = (Measured::default(), Fleet::default());
        for resource in fleet.resources(&measured) {
            // Of those that chance decides one is enough: the placement takes its time.
            if resource.name.ends_with("fullest gateway") {
                continue;
            }
            for along in [false, true] {
                let Some(clients) = fleet.breaks_at(&measured, resource.name, along) else { continue };
                let gateways =
                    if along { (fleet.gateways * clients / fleet.clients).max(1.0).round() } else { fleet.gateways };
                let at = fleet.sized(clients, gateways).resources(&measured);
                let used = at.iter().find(|r| r.name == resource.name).map_or(0.0, Resource::used);
                // Chance moves the fullest core a little.
                assert!(used < USED_MAX * 1.1, "{}: {used} at {clients}", resource.name);
            }
        }
    }
}
