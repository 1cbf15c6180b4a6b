//! The ways to the database that are compared.

use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::{
    bouncer::Bouncer,
    failure::{Result, Stop},
    folder::Folder,
    gateway::{Audit, Gateway, Programs, Setup},
    postgres::Postgres,
    wire::Login,
};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Way {
    /// Straight to PostgreSQL.
    Direct,
    /// Through pgbouncer, session pooling.
    Pgbouncer,
    /// Through the gateway, audit mode async.
    Gateway,
    /// Through the gateway, audit mode strict.
    GatewayStrict,
    /// Through the gateway, audit mode intent.
    GatewayIntent,
    /// Through the gateway, which records no statements.
    GatewayOff,
    /// Through the gateway, what clients are sent recorded and encrypted.
    GatewayRecorded,
    /// The same, compressed too.
    GatewayRecordedZstd,
    /// Recorded and not encrypted.
    GatewayRecordedPlain,
}

impl Way {
    /// Its name in reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pgbouncer => "pgbouncer",
            Self::Gateway => "gateway",
            Self::GatewayStrict => "gateway-strict",
            Self::GatewayIntent => "gateway-intent",
            Self::GatewayOff => "gateway-off",
            Self::GatewayRecorded => "gateway-recorded",
            Self::GatewayRecordedZstd => "gateway-recorded-zstd",
            Self::GatewayRecordedPlain => "gateway-recorded-plain",
        }
    }

    /// What it records, as the configuration says it.
    #[must_use]
    pub const fn recordings(self) -> Option<&'static str> {
        match self {
            Self::GatewayRecorded => Some("mode: rows, compress: false, cap_bytes: 1000GiB"),
            Self::GatewayRecordedZstd => Some("mode: rows, compress: true, cap_bytes: 1000GiB"),
            Self::GatewayRecordedPlain => Some("mode: rows, compress: false, cap_bytes: 1000GiB, unencrypted: true"),
            _ => None,
        }
    }

    /// It is our own.
    #[must_use]
    pub const fn is_gateway(self) -> bool {
        !matches!(self, Self::Direct | Self::Pgbouncer)
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is needed to start one.
#[derive(Debug)]
pub struct Ground {
    /// Everything is in here.
    pub folder: Folder,
    /// The database.
    pub postgres: Postgres,
    /// The gateway's programs, where it takes part.
    pub programs: Option<Programs>,
    /// Executors of the gateway.
    pub cores: Option<usize>,
    /// Room for sessions.
    pub sessions: usize,
}

/// A way that is up.
#[derive(Debug)]
pub struct Target {
    /// Which.
    pub way: Way,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Direct(Login),
    Pgbouncer(Bouncer),
    Gateway(Gateway),
}

impl Target {
    /// Starts it in a folder of its own, `name`.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(ground: &Ground, way: Way, name: &str, stop: &Stop) -> Result<Self> {
        let audit = match way {
            Way::GatewayStrict => Audit::Strict,
            Way::GatewayIntent => Audit::Intent,
            Way::GatewayOff => Audit::Off,
            _ => Audit::Async,
        };
        let kind = match way {
            Way::Direct => Kind::Direct(ground.postgres.login.clone()),
            Way::Pgbouncer => {
                Kind::Pgbouncer(Bouncer::start(&ground.folder, name, &ground.postgres, ground.sessions, stop)?)
            }
            _ => {
                let programs = ground.programs.as_ref().ok_or("the gateway's programs were not built")?;
                let setup =
                    Setup { name, audit, cores: ground.cores, sessions: ground.sessions, recordings: way.recordings() };
                Kind::Gateway(Gateway::start(&ground.folder, programs, &ground.postgres, setup, stop)?)
            }
        };
        Ok(Self { way, kind })
    }

    /// Whom to log in as; `masked` matters to the gateway alone.
    #[must_use]
    pub fn login(&self, masked: bool) -> &Login {
        match &self.kind {
            Kind::Direct(login) => login,
            Kind::Pgbouncer(bouncer) => &bouncer.login,
            Kind::Gateway(gateway) if masked => &gateway.masked,
            Kind::Gateway(gateway) => &gateway.clear,
        }
    }

    /// Process between client and database, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<u32> {
        match &self.kind {
            Kind::Direct(_) => None,
            Kind::Pgbouncer(bouncer) => Some(bouncer.server.id()),
            Kind::Gateway(gateway) => Some(gateway.server.id()),
        }
    }
}
