//! `tidegate serve`: from checked settings to a running gateway and back to an exit code.
//!
//! ```text
//! prepare ─▶ limits ─▶ names ─▶ control thread ─▶ first catalogs ─▶ gateway ─▶ loop over messages ─▶ join
//! ```
//!
//! One thread (this one) changes rules; signals and catalogs reach it as messages. A target that cannot be reached does
//! not keep the others from being served.

use crate::{
    access::{self, Asks},
    board::{self, Board, BoardPages, State, TargetBoard},
    config::{Config, Log, LogFormat},
    prepare::{self, Prepared},
    problems::Problems,
    process, recordings, vouch,
    world::World,
};
use control::{Access, CatalogNews, Control, Listener, Refresher, Signal, names};
use gateway::{Event, Gateway, Limits, Secret, Settings, TargetSettings, UpstreamTls};
use std::{
    io::IsTerminal as _,
    net::TcpListener,
    os::fd::AsFd as _,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

/// How long the start waits for the first catalogs.
const FIRST_CATALOGS: Duration = Duration::from_secs(10);
/// At the end the last accounts upstream are dropped within this time.
const ACCOUNTS_LIMIT: Duration = Duration::from_secs(8);
/// How often the loop looks whether the cores still run.
const LOOK: Duration = Duration::from_millis(100);

enum Message {
    /// Passwords of the targets, found again.
    Passwords(Result<Vec<prepare::Passwords>, String>),
    Signal(Signal),
    Catalog(usize, CatalogNews),
}

struct Mailbox(Sender<Message>);

impl Listener for Mailbox {
    fn signal(&self, signal: Signal) {
        // The loop has ended: there is nothing left to steer.
        let _gone = self.0.send(Message::Signal(signal));
    }

    fn catalog(&self, target: usize, news: CatalogNews) {
        let _gone = self.0.send(Message::Catalog(target, news));
    }
}

/// Runs until it is told to end.
#[must_use]
pub fn serve(file: &Path, accept_loss: bool, driver: Option<gateway::Driver>) -> ExitCode {
    let mut problems = Problems::new();
    let prepared = prepare::prepare(file, driver, &mut problems);
    if problems.has_errors() {
        eprintln!("{problems}");
        return ExitCode::from(2);
    }
    let Some(prepared) = prepared else {
        return ExitCode::from(2);
    };
    start_log(&prepared.config.log);
    for problem in problems.iter() {
        tracing::warn!("{problem}");
    }
    match run(prepared, accept_loss) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn start_log(log: &Log) {
    // Checked when the file was read.
    let filter = tracing_subscriber::EnvFilter::new(&log.level);
    // The grammar library points descriptor 2 elsewhere while it parses: lines go to a descriptor of our own.
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else { return };
    let stderr = Arc::new(std::fs::File::from(stderr));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // An error means that a log is already there, as in tests.
    let _already = match log.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
}

fn run(prepared: Prepared, accept_loss: bool) -> Result<(), String> {
    let Prepared { config, cores, rules, keys, targets, forwarders, recipients } = prepared;
    process::raise_limits().map_err(|e| format!("cannot raise the limits of the process: {e}"))?;
    std::fs::create_dir_all(&config.audit.directory.value)
        .map_err(|e| format!("cannot make {}: {e}", config.audit.directory.value.display()))?;
    let folders = notary::Folders {
        directory: config.audit.directory.value.clone(),
        spare: config.audit.spare_directory.as_ref().map(|spare| spare.value.clone()),
    };
    let waiting = vouch::start::check(&config.audit.vouch, folders, accept_loss)?;
    let names: Vec<String> = targets.iter().map(|t| t.name.clone()).collect();
    let users = rules.users.len();
    let required = config.tls.as_ref().is_some_and(|t| t.required);
    let mut world = World::new(rules, keys, names, required)?;
    let board = Arc::new(Board::new(State {
        bundle: prepare::hex(world.bundle().digest()),
        observed: prepare::observed(world.bundle()),
        users,
        targets: targets.iter().map(target_board).collect(),
        ..State::default()
    }));
    let listener = match &config.metrics {
        None => None,
        Some(address) => {
            let listener =
                TcpListener::bind(address.value).map_err(|e| format!("cannot listen on {}: {e}", address.value))?;
            tracing::info!("metrics on http://{}", address.value);
            Some(listener)
        }
    };
    let url = config.console.as_ref().map(|console| console.url.value.clone()).unwrap_or_default();
    let asks = Asks::start(targets.iter().map(|target| target.name.clone()).collect(), url)
        .map_err(|e| format!("the threads for questions about access cannot start: {e}"))?;
    let journal = access::LateJournal::default();
    let (notices, outbound) = console::notify::queue();
    let in_force = Arc::new(access::InForce::default());
    let providers = config.identity.as_ref().map(access::IdentitySettings::providers).transpose()?.unwrap_or_default();
    let reached =
        targets.iter().map(|t| access::Reached { name: t.name.clone(), database: t.database.clone() }).collect();
    let running = match &config.access {
        None => None,
        Some(settings) => {
            let hearing = Arc::clone(&asks);
            let told = Box::new(move |news: &::access::News| {
                hearing.hear(news);
                notices.tell(news);
            });
            let policy = access::policy_of(settings, world.bundle().model());
            let running = access::start(settings, policy, journal.clone(), told)?;
            asks.decide_by(Arc::clone(&running.engine));
            asks.trust(providers.clone());
            Some(running)
        }
    };
    let authority = match (&running, &config.access) {
        (Some(running), Some(access)) if access.certificates && config.tls.is_some() => {
            let authority = console::Authority::open(&running.engine)
                .map_err(|e| format!("the authority of client certificates: {e}"))?;
            world.trust_clients_of(authority.certificate().clone())?;
            Some(Arc::new(authority))
        }
        _ => None,
    };
    let console = match (&config.console, &running) {
        (Some(settings), Some(running)) => {
            let vouchers = access::Vouchers { engine: &running.engine, providers, authority };
            Some(access::serve_console(&config, settings, &board, &in_force, reached, vouchers, outbound)?)
        }
        _ => None,
    };
    let people: Arc<dyn gateway::access::Directory> = match &running {
        Some(running) => Arc::new(access::People(Arc::clone(&running.engine))),
        None => Arc::new(gateway::access::Empty),
    };
    let node = config.access.as_ref().and_then(|access| access.node.clone()).unwrap_or_else(access::host_name);
    let recorder = journal.clone();
    let issuer =
        access::Issuer::start(&targets, &node, Arc::new(move |body| ::access::Journal::append(&recorder, body)))?;
    if let Some(issuer) = &issuer {
        asks.make_accounts_by(Arc::clone(issuer));
    }
    let settings = settings(&config, cores, &world, &targets, recipients, people)?;
    let (sender, messages) = mpsc::channel();
    let again = sender.clone();
    let known = passwords_of(&targets);
    let reachable: Vec<Access> = targets.into_iter().map(access).collect();
    let passwords = reachable.iter().map(|of| (of.name.clone(), of.password.clone())).collect();
    asks.estimate_by(reachable.clone());
    let control = Control::start(
        control::Settings {
            listener,
            pages: Arc::new(BoardPages(Arc::clone(&board))),
            targets: reachable,
            catalog_refresh: config.catalog_refresh,
        },
        Arc::new(Mailbox(sender)),
    )
    .map_err(|e| format!("the control thread cannot start: {e}"))?;
    let program = std::env::current_exe().and_then(|program| digest_of(&program)).unwrap_or([0; 32]);
    let mut shell = Shell {
        config,
        world,
        board,
        gateway: None,
        notary: None,
        forwarders,
        forwarding: None,
        asks,
        console,
        in_force,
        issuer,
        passwords,
        known,
        again,
        finding: false,
        found_at: Instant::now(),
        access: running,
        journal,
        stops: 0,
        was_ready: false,
        program,
    };
    let outcome = shell.live(settings, waiting, control.refresher(), &messages, &control);
    control.stop();
    shell.end().and(outcome)
}

struct Shell {
    config: Config,
    world: World,
    board: Arc<Board>,
    gateway: Option<Arc<Gateway>>,
    notary: Option<notary::service::Service>,
    /// To be started when the gateway runs and the log has a name.
    forwarders: Vec<forward::Forwarder>,
    forwarding: Option<forward::Running>,
    /// Answers the questions of sessions.
    asks: Arc<Asks>,
    /// Makes accounts upstream, if a target wants them.
    issuer: Option<Arc<access::Issuer>>,
    /// Names of the targets, and the passwords by which their catalogs are read.
    passwords: Vec<(String, control::Password)>,
    /// Passwords in use.
    known: Vec<prepare::Passwords>,
    /// For passwords that are found again.
    again: Sender<Message>,
    finding: bool,
    found_at: Instant,
    /// Who may do what, if the configuration has it.
    access: Option<access::Running>,
    journal: access::LateJournal,
    console: Option<access::Served>,
    /// Rules in force, for the console.
    in_force: Arc<access::InForce>,
    stops: u32,
    was_ready: bool,
    /// SHA-256 of the program's file.
    program: [u8; 32],
}

impl Shell {
    fn live(
        &mut self,
        settings: Settings,
        waiting: vouch::start::Waiting,
        refresher: Refresher,
        messages: &Receiver<Message>,
        control: &Control,
    ) -> Result<(), String> {
        self.first_catalogs(messages);
        if self.stops > 0 {
            return Ok(());
        }
        let asks = Arc::clone(&self.asks);
        let events = Box::new(move |event: Event| match event {
            Event::CatalogChanged { target } => refresher.refresh(target),
            Event::Ask(ask) => asks.ask(ask),
        });
        let gateway = gateway::start(settings, self.world.rules(), events).map_err(|e| e.to_string())?;
        let gateway = Arc::new(gateway);
        for address in gateway.listening() {
            tracing::info!("listening on {address}");
        }
        self.board.state().gateway = Some(Arc::clone(&gateway));
        self.gateway = Some(Arc::clone(&gateway));
        self.asks.answer_to(&gateway);
        if let Some(console) = &self.console {
            console.answer_by(&gateway);
        }
        self.journal.ready(gateway.audit());
        if let Some(issuer) = &self.issuer {
            issuer.begin();
        }
        match waiting.begin(gateway.audit()) {
            Ok(service) => {
                self.board.state().notary = Some(service.status());
                self.notary = Some(service);
            }
            Err(error) => {
                gateway.stop_now();
                return Err(error);
            }
        }
        self.record_configuration("start");
        self.forward()?;
        self.announce();
        let mut control_died = false;
        while !gateway.is_finished() {
            match messages.recv_timeout(LOOK) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
            if self.found_at.elapsed() >= self.config.secrets_refresh {
                self.find_passwords();
            }
            if self.stops == 0 && gateway.has_failed() {
                tracing::error!("a core has failed: the others are drained, and the process ends to be started again");
                self.stop();
            }
            if control.is_dead() && !control_died {
                control_died = true;
                tracing::error!(
                    "the control thread has died: statements go on, but rules, catalogs and metrics stand still; restart soon"
                );
            }
        }
        Ok(())
    }

    /// Starts the forwarders. They read the log's files and never touch the cores.
    fn forward(&mut self) -> Result<(), String> {
        let forwarders = std::mem::take(&mut self.forwarders);
        if forwarders.is_empty() {
            return Ok(());
        }
        let settings = crate::forwarders::settings(&self.config, forwarders, false);
        let running = forward::start(settings).map_err(|e| format!("the forwarders cannot start: {e}"))?;
        self.board.state().forwarders = Some(Arc::clone(&running.board));
        self.forwarding = Some(running);
        Ok(())
    }

    /// Waits until each target has answered or failed.
    fn first_catalogs(&mut self, messages: &Receiver<Message>) {
        let until = Instant::now() + FIRST_CATALOGS;
        let mut open = vec![true; self.board.state().targets.len()];
        while open.contains(&true) && self.stops == 0 {
            let Ok(message) = messages.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                return;
            };
            if let Message::Catalog(target, CatalogNews::Fetched(_) | CatalogNews::Failed(_)) = &message
                && let Some(open) = open.get_mut(*target)
            {
                *open = false;
            }
            self.handle(message);
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Signal(Signal::Stop) => self.stop(),
            Message::Signal(Signal::Reload) => {
                self.find_passwords();
                self.reload();
            }
            Message::Passwords(found) => self.rotate(found),
            Message::Catalog(target, news) => self.catalog(target, news),
        }
    }

    /// Finds the passwords of the targets again, on a thread that may wait for a server.
    fn find_passwords(&mut self) {
        self.found_at = Instant::now();
        if std::mem::replace(&mut self.finding, true) {
            return;
        }
        let (config, again) = (self.config.clone(), self.again.clone());
        let names: Vec<String> = self.passwords.iter().map(|(name, _)| name.clone()).collect();
        let find = move || {
            // The loop has ended: nobody needs them.
            let _gone = again.send(Message::Passwords(prepare::passwords(&config, &names)));
        };
        if std::thread::Builder::new().name("secrets".to_owned()).spawn(find).is_err() {
            self.finding = false;
            tracing::error!("no thread to read secrets again");
        }
    }

    /// Takes the passwords that were found, where they are new. Sessions that run are not concerned.
    fn rotate(&mut self, found: Result<Vec<prepare::Passwords>, String>) {
        self.finding = false;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::error!("secrets cannot be read again, the ones in use stay: {error}");
                return;
            }
        };
        let mut changed = false;
        for (target, (now, (name, shared))) in found.iter().zip(&self.passwords).enumerate() {
            let before = self.known.get(target);
            if before.is_none_or(|before| before.0 != now.0) {
                tracing::info!(target = name, "the password is a new one");
                shared.set(now.0.clone());
                changed = true;
            }
            if before.is_none_or(|before| before.1 != now.1)
                && let Some(issuer) = &self.issuer
            {
                tracing::info!(target = name, "the password of the account that makes accounts is a new one");
                issuer.rotate(target, now.1.clone());
            }
        }
        if let (true, Some(gateway)) = (changed, &self.gateway) {
            gateway.rotate(found.iter().map(|(password, _)| password.clone().map(Secret)).collect());
        }
        self.known = found;
    }

    fn stop(&mut self) {
        self.stops += 1;
        self.board.state().draining = true;
        let Some(gateway) = &self.gateway else {
            return;
        };
        if self.stops == 1 {
            let limit = self.config.limits.drain_timeout;
            tracing::info!("ending: sessions may finish within {limit:?}; a second signal ends them now");
            gateway.drain(limit);
        } else {
            tracing::info!("ending now");
            gateway.stop_now();
        }
    }

    fn reload(&mut self) {
        let mut problems = Problems::new();
        let rules = prepare::rules(&self.config, &mut problems);
        let users = rules.as_ref().map_or(0, |r| r.users.len());
        let outcome = match rules {
            Some(rules) if !problems.has_errors() => self.world.reload(rules),
            Some(_) | None => Err(problems.to_string()),
        };
        let mut state = self.board.state();
        match outcome {
            Ok(later) => {
                for problem in problems.iter() {
                    tracing::warn!("{problem}");
                }
                for what in later {
                    tracing::warn!("{what}");
                }
                state.bundle = prepare::hex(self.world.bundle().digest());
                state.observed = prepare::observed(self.world.bundle());
                state.users = users;
                state.reloads.0 += 1;
                state.reload_error = None;
                for (i, target) in state.targets.iter_mut().enumerate() {
                    target.epoch = self.world.epoch(i);
                    let told = self.config.targets.get(&target.name).and_then(|t| t.audit);
                    target.audit = told.unwrap_or_else(|| self.world.durability(i)).word();
                }
                tracing::info!(bundle = state.bundle, users, "rules reloaded");
                drop(state);
                if let (Some(running), Some(settings)) = (&self.access, &self.config.access) {
                    running.engine.set_policy(access::policy_of(settings, self.world.bundle().model()));
                }
                self.apply();
                self.record_configuration("reload");
            }
            Err(error) => {
                tracing::error!("reload refused, the old rules stay: {error}");
                state.reloads.1 += 1;
                state.reload_error = Some(error);
            }
        }
    }

    fn catalog(&mut self, target: usize, news: CatalogNews) {
        let board = Arc::clone(&self.board);
        let mut state = board.state();
        let Some(shown) = state.targets.get_mut(target) else {
            return;
        };
        match news {
            CatalogNews::Fetched(catalog) => {
                let relations = catalog.relations.len();
                if let Err(error) = self.world.catalog(target, catalog) {
                    tracing::error!(target = shown.name, "{error}");
                    shown.error = Some(error);
                    return;
                }
                shown.relations = Some(relations);
                shown.epoch = self.world.epoch(target);
                (shown.looked_at, shown.error) = (board::now(), None);
                tracing::info!(target = shown.name, relations, epoch = shown.epoch, "catalog taken");
                drop(state);
                self.apply();
                self.announce();
            }
            CatalogNews::Unchanged => {
                if shown.error.take().is_some() {
                    tracing::info!(target = shown.name, "the target answers again");
                }
                shown.looked_at = board::now();
            }
            CatalogNews::Failed(error) => {
                shown.failures += 1;
                if shown.error.as_ref() != Some(&error) {
                    let effect = if shown.relations.is_some() { "the last one stays" } else { "nobody is admitted" };
                    tracing::error!(target = shown.name, "cannot fetch the catalog, {effect}: {error}");
                }
                shown.error = Some(error);
            }
            CatalogNews::Warnings(warnings) => {
                for warning in warnings.iter().filter(|w| !shown.warnings.contains(w)) {
                    tracing::warn!(target = shown.name, "{warning}");
                }
                shown.warnings = warnings;
            }
        }
    }

    fn apply(&self) {
        let (epochs, catalogs) = self.world.known();
        self.in_force.set(self.world.bundle(), epochs, catalogs);
        if let Some(gateway) = &self.gateway {
            gateway.reload(self.world.rules());
        }
    }

    /// Says once that clients are served.
    /// Says in the log what configuration and program are in force.
    fn record_configuration(&self, reason: &str) {
        let Some(gateway) = &self.gateway else { return };
        let body = audit::Body::Configuration {
            reason: reason.to_owned(),
            build: format!("tidegate {}", board::VERSION),
            configuration: digest_of(&self.config.file).unwrap_or([0; 32]),
            program: self.program,
        };
        if !gateway.audit().append(body) {
            tracing::warn!("the log does not take the record of the configuration");
        }
    }

    fn announce(&mut self) {
        if self.was_ready || self.gateway.is_none() {
            return;
        }
        if self.board.is_ready() {
            self.was_ready = true;
            let state = self.board.state();
            for target in &state.targets {
                let TargetBoard { name, address, tls, audit, .. } = target;
                tracing::info!("target {name} at {address}, tls {tls}, audit {audit}");
            }
            tracing::info!("bundle {}, {} users", state.bundle, state.users);
            tracing::info!("ready");
        } else {
            tracing::warn!("listening, but no target has answered yet");
        }
    }

    fn end(mut self) -> Result<(), String> {
        self.board.state().gateway = None;
        if let Some(console) = self.console.take() {
            console.stop();
        }
        if let Some(access) = &mut self.access {
            access.stop();
        }
        if let Some(issuer) = self.issuer.take() {
            issuer.stop(ACCOUNTS_LIMIT);
        }
        let Some(gateway) = self.gateway.take() else {
            return Ok(());
        };
        let Some(gateway) = Arc::into_inner(gateway) else {
            return Err("the gateway is still in use after its end".to_owned());
        };
        let failures = gateway.join().failures;
        // The last blocks are on the disk.
        if let Some(notary) = self.notary.take() {
            notary.stop();
        }
        if let Some(forwarding) = self.forwarding.take() {
            forwarding.stop();
        }
        if failures.is_empty() {
            tracing::info!("ended");
            return Ok(());
        }
        let failures: Vec<String> = failures.into_iter().map(|(core, error)| format!("core {core}: {error}")).collect();
        Err(failures.join("; "))
    }
}

/// The passwords that the targets were prepared with.
fn passwords_of(targets: &[prepare::Target]) -> Vec<prepare::Passwords> {
    let admin = |target: &prepare::Target| target.credentials.as_ref().and_then(|(_, password)| password.clone());
    targets.iter().map(|target| (target.password.clone(), admin(target))).collect()
}

fn target_board(target: &prepare::Target) -> TargetBoard {
    TargetBoard {
        name: target.name.clone(),
        address: format!("{}:{}", target.host, target.port),
        tls: prepare::mode_name(target.mode),
        audit: target.audit.word(),
        ..TargetBoard::default()
    }
}

fn access(target: prepare::Target) -> Access {
    Access {
        name: target.name,
        host: target.host,
        port: target.port,
        database: target.database,
        account: target.account,
        password: control::Password::new(target.password),
        tls: target.tls.map(|(config, _)| config),
    }
}

fn settings(
    config: &Config,
    cores: usize,
    world: &World,
    targets: &[prepare::Target],
    recipients: Vec<sealing::Recipient>,
    directory: Arc<dyn gateway::access::Directory>,
) -> Result<Settings, String> {
    let mut list = Vec::new();
    for target in targets {
        let addresses = names::resolve(&target.host, target.port)
            .map_err(|e| format!("target {}: cannot resolve {}: {e}", target.name, target.host))?;
        list.push(TargetSettings {
            name: target.name.clone(),
            database: target.database.clone(),
            account: target.account.clone(),
            addresses,
            tls: target.tls.clone().map(|(config, server_name)| UpstreamTls { config, server_name }),
            password: target.password.clone().map(Secret),
            durability: target.durability,
            recordings: recordings::of_target(config, &target.name),
            reuse: target.reuse,
            credentials: access::credentials_of(target.credentials.as_ref().map(|(settings, _)| settings)),
        });
    }
    Ok(Settings {
        directory,
        tokens: config.identity.as_ref().map(access::IdentitySettings::tokens).unwrap_or_default(),
        listen: config.listen.iter().map(|l| l.value).collect(),
        cores,
        driver: config.driver,
        pin: std::thread::available_parallelism().is_ok_and(|n| n.get() == cores),
        limits: limits(config),
        tls: world.tls().cloned(),
        targets: list,
        audit_directory: config.audit.directory.value.clone(),
        segment_bytes: config.audit.segment_bytes,
        spare_directory: config.audit.spare_directory.as_ref().map(|p| p.value.clone()),
        heartbeat: config.audit.heartbeat,
        audit_wait_max: config.audit.wait_max,
        recipients,
        build: format!("tidegate {}", board::VERSION),
    })
}

/// The file's names to the gateway's.
fn limits(config: &Config) -> Limits {
    let from = &config.limits;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let default = Limits::default();
    let mut conversation = default.conversation;
    conversation.statement_bytes_max = size(from.statement_bytes);
    conversation.buffer_bytes_max = size(from.buffer_bytes);
    conversation.prepared_max = size(from.prepared_statements.into());
    conversation.owed_max = size(from.pipeline.into());
    Limits {
        conversation,
        sessions: size(from.sessions.into()),
        sessions_per_user: size(from.sessions_per_user.into()),
        login_timeout: from.login_timeout,
        idle_timeout: from.idle_timeout,
        idle_write_timeout: from.idle_write_timeout,
        hold_max: from.hold_max,
        hold_notice: from.hold_notice,
        ..default
    }
}

/// SHA-256 of a file, without holding it in memory.
fn digest_of(path: &Path) -> std::io::Result<[u8; 32]> {
    use sha2::{Digest as _, Sha256};
    use std::io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
}
