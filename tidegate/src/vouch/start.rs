//! The notary of a gateway: checked before the gateway starts, begun when it runs.

use super::settings::{Anchor, KeySource, Settings};
use audit::{
    Body,
    segment::{HEADER_PAGE_BYTES, SegmentHeader, core_directory},
};
use gateway::AuditHandle;
use notary::{
    Error, FileSigner, Folders, Notary, RemoteSigner, Signer,
    anchor::Anchor as Copier,
    keys::{self, Keyring},
    s3,
    sequencer::set_aside,
    service::{Hooks, Plan, Service},
    witness_client::{Standing, Witness, WitnessSettings},
};
use std::{
    fs,
    io::Read as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tlog::note::KeyKind;

/// Longest time of one request to the object store.
const STORE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the first segment of a new node may take.
const FIRST_SEGMENT: Duration = Duration::from_secs(10);

/// A notary that waits for its gateway.
#[derive(Debug)]
pub struct Waiting {
    settings: Settings,
    folders: Folders,
    /// Absent at the first start of a node, whose id is not known yet.
    notary: Option<Notary>,
    witnesses: Vec<Witness>,
    lost: bool,
}

/// Checks that the log on the disk is the one that signer and witnesses know.
///
/// # Errors
/// In words for the operator. The gateway must not start.
pub fn check(settings: &Settings, folders: Folders, accept_loss: bool) -> Result<Waiting, String> {
    let mut lost = false;
    let mut notary = match open(settings, &folders) {
        Err(error @ Error::Disagree(_)) if accept_loss => {
            tracing::error!("{error}; the loss is accepted, a new tree begins");
            begin_anew(settings, &folders).map_err(|e| e.to_string())?;
            lost = true;
            open(settings, &folders).map_err(|e| e.to_string())?
        }
        Err(error @ Error::Disagree(_)) => return Err(refusal(&error.to_string())),
        outcome => outcome.map_err(|e| e.to_string())?,
    };
    let mut witnesses = witnesses(settings)?;
    if let Some(notary) = &mut notary {
        if notary.published().is_none()
            && let Err(error) = notary.step()
        {
            tracing::error!("no checkpoint of the audit log can be made: {error}");
        }
        if let Some(published) = notary.published() {
            for witness in &mut witnesses {
                match witness.submit(published, &notary.tiles()) {
                    Standing::Cosigned(_) => {}
                    standing if standing.is_alarming() => {
                        let what = format!("witness {}: {standing}", witness.name());
                        if !accept_loss {
                            return Err(refusal(&what));
                        }
                        tracing::error!("{what}; the loss is accepted");
                        lost = true;
                    }
                    standing => tracing::warn!("witness {}: {standing}", witness.name()),
                }
            }
        }
    }
    Ok(Waiting { settings: settings.clone(), folders, notary, witnesses, lost })
}

fn refusal(what: &str) -> String {
    format!(
        "{what}. The gateway does not start on an audit log that has lost something. Keep the directory as evidence and \
         look for the rest of it; `tidegate serve --accept-loss` goes on from what is here and records the loss"
    )
}

/// Opens the notary; `None` if the key cannot have a name yet.
fn open(settings: &Settings, folders: &Folders) -> Result<Option<Notary>, Error> {
    let signer: Box<dyn Signer> = match (&settings.key, settings.key_file(&folders.directory)) {
        (KeySource::Signer(socket), _) => Box::new(RemoteSigner::new(socket.value.clone())),
        (_, None) => return Ok(None),
        (source, Some(file)) => {
            if keys::load(&file, KeyKind::Log)?.is_none() && *source == KeySource::Default {
                let by_node = || {
                    let node = node_of(&folders.directory)?;
                    Some(format!("tidegate/{}", crate::prepare::hex(&node)))
                };
                let Some(name) = settings.origin.as_ref().map(|o| o.value.clone()).or_else(by_node) else {
                    return Ok(None);
                };
                make_key(&file, &name)?;
            }
            Box::new(FileSigner::new(Keyring::open(&file)?))
        }
    };
    let notary = Notary::open(folders, signer)?;
    if let Some(origin) = settings.origin.as_ref().filter(|o| o.value != notary.origin()) {
        let (want, have) = (&origin.value, notary.origin());
        return Err(Error::Signer(format!("`origin` is {want}, but the key is of the log {have}")));
    }
    Ok(Some(notary))
}

fn make_key(file: &Path, name: &str) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::Io(folder.to_owned(), e))?;
    }
    let key = keys::create(file, name, KeyKind::Log)?;
    tracing::warn!(
        "made the key that signs the audit log: {}. Who can read this directory can sign in its name: \
         a signer process under another user is better (docs/manual.md). Its public key: {}",
        file.display(),
        key.verifier()
    );
    Ok(())
}

/// Sets the tree aside; the key stays.
fn begin_anew(settings: &Settings, folders: &Folders) -> Result<(), Error> {
    let tlog = folders.tlog();
    let aside = set_aside(&tlog)?;
    if let Some(file) = settings.key_file(&folders.directory)
        && let Ok(name) = file.strip_prefix(&tlog)
    {
        fs::create_dir_all(&tlog).map_err(|e| Error::Io(tlog.clone(), e))?;
        fs::rename(aside.join(name), &file).map_err(|e| Error::Io(file.clone(), e))?;
    }
    Ok(())
}

/// The node that wrote the log of the first core.
fn node_of(directory: &Path) -> Option<[u8; 16]> {
    let entries = fs::read_dir(core_directory(directory, 0)).ok()?;
    let mut segments =
        entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.extension().is_some_and(|e| e == "tgseg"));
    segments.find_map(|path| {
        let mut page = [0; HEADER_PAGE_BYTES as usize];
        fs::File::open(path).ok()?.read_exact(&mut page).ok()?;
        Some(SegmentHeader::decode(&page)?.node)
    })
}

fn witnesses(settings: &Settings) -> Result<Vec<Witness>, String> {
    let make = |w: &super::settings::Witness| {
        Witness::new(WitnessSettings {
            name: w.name.value.clone(),
            url: w.url.value.clone(),
            key: w.key.clone(),
            authorities: w.ca.as_ref().map(|ca| ca.value.clone()),
        })
    };
    settings.witnesses.iter().map(make).collect()
}

fn copier(anchor: &Anchor, folders: &Folders, origin: &str) -> Result<Copier, String> {
    let text = |source: &crate::secrets::SecretSource| {
        let found = source.resolve()?;
        String::from_utf8(found.secret.expose().to_vec()).map_err(|_| format!("{source} is not text"))
    };
    let store = s3::Store::new(&s3::Settings {
        endpoint: anchor.endpoint.value.clone(),
        region: anchor.region.clone(),
        bucket: anchor.bucket.clone(),
        prefix: anchor.prefix.clone().unwrap_or_else(|| format!("{origin}/")),
        access_key: text(&anchor.access_key.value)?,
        secret_key: text(&anchor.secret_key.value)?,
        virtual_host: anchor.virtual_host,
        authorities: anchor.ca.as_ref().map(|ca| ca.value.clone()),
        timeout: STORE_TIMEOUT,
    });
    let store = store.map_err(|e| e.to_string())?;
    Copier::open(store, folders, anchor.retention).map_err(|e| e.to_string())
}

/// Opens the notary of a node that has just started for the first time.
fn first(settings: &Settings, folders: &Folders) -> Result<Notary, String> {
    let began = Instant::now();
    loop {
        if let Some(notary) = open(settings, folders).map_err(|e| e.to_string())? {
            return Ok(notary);
        }
        // The node's id is in the first segment, which the first core makes now.
        if began.elapsed() > FIRST_SEGMENT {
            return Err("the audit log has no segment from which its name could be made".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Waiting {
    /// Begins: the gateway runs.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn begin(self, log: AuditHandle) -> Result<Service, String> {
        let Self { settings, folders, notary, witnesses, lost } = self;
        let notary = match notary {
            Some(notary) => notary,
            None => first(&settings, &folders)?,
        };
        let anchor = match &settings.anchor {
            None => None,
            Some(anchor) => Some((copier(anchor, &folders, notary.origin())?, anchor.every)),
        };
        if lost {
            let reason = "accepted_loss".to_owned();
            let gap = Body::Gap { reason, duration_us: 0, lost: 0, sessions: 0, statements: 0 };
            if !log.append(gap) {
                return Err("the accepted loss cannot be recorded in the audit log".to_owned());
            }
        }
        let (durable, append) = (log.clone(), log.clone());
        let hooks = Hooks {
            durable: Box::new(move |core| {
                durable.durable_blocks().into_iter().find(|(c, _)| *c == core).map(|(_, next)| next)
            }),
            append: Arc::new(move |body| append.append(body)),
            unsigned_too_long: Box::new(move |too_long| log.set_unsigned_too_long(too_long)),
        };
        let plan = Plan {
            every: settings.every,
            max_unsigned: settings.max_unsigned,
            witnesses,
            witness_every: settings.witness_every,
            anchor,
        };
        Service::start(notary, plan, hooks).map_err(|e| format!("the notary cannot start: {e}"))
    }
}
