//! The console as people use it: a real browser, a real provider, a gateway in front of PostgreSQL.
//!
//! Pictures of the pages are left under Cargo's target folder, `console-pages`.

use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
};
use tests::{
    browser::Browser,
    clients,
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    programs::{target, tree},
    provider::{CLIENT_SECRET, Plan, Provider},
    rules::{Bundle, examples},
    server::{Postgres, free_port},
};

/// A name that runs as a script where a page forgets to say that it is text.
const HOSTILE: &str = "<script>window.ran=1</script><img src=x onerror=\"window.ran=1\">";

/// Takes webhooks; gives each as it came.
fn receiver() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, came) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Some(notice) = socket.ok().and_then(taken) else { continue };
            if told.send(notice).is_err() {
                return;
            }
        }
    });
    (port, came)
}

/// A notice, acknowledged; none from who went away before it was whole, and will come again.
fn taken(mut socket: TcpStream) -> Option<String> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    let whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))?;
        (body.len() >= length.parse().ok()?).then_some(())
    };
    while std::str::from_utf8(&all).ok().and_then(whole).is_none() {
        let read = socket.read(&mut bytes).ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&bytes[..read]);
    }
    socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
    String::from_utf8(all).ok()
}

struct Door {
    told: Receiver<String>,
    _provider: Provider,
    gateway: Gateway,
    origin: String,
}

impl Door {
    fn open() -> Self {
        let console = free_port();
        // A secure context without a certificate, which browsers give security keys to.
        let origin = format!("http://localhost:{console}");
        let provider = Plan::new()
            .person("ann", &["engineers"])
            .person("lee", &["leads", "auditors"])
            .person("dana", &["sre", "leads"])
            .redirect(&format!("{origin}/signin/oidc/callback/corp"))
            .start();
        let (hook, told) = receiver();
        let mut files: Vec<PathBuf> = examples();
        files.push(tree().join("examples/clinic/access.yaml"));
        let bundle = Bundle::from_files(&files, "warehouse", Postgres::shared());
        let gateway = Setup::new(&bundle, Postgres::shared())
            .file("client.secret", CLIENT_SECRET)
            .audit("recordings: { mode: rows, unencrypted: true }")
            .line("access:\n  store: { directory: access }\n  key_file: access.key\n  admins: [sre]\n  auditors: [auditors]")
            .file("hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .line(&format!(
                "console:\n  listen: \"127.0.0.1:{console}\"\n  url: {origin}\n  plain: true\n  notices:\n    ops:\n      \
                 url: http://127.0.0.1:{hook}/hook\n      secret: {{ file: hook.secret }}\n      networks: [127.0.0.1/32]\n  \
                 approvers:\n    ci: {{ groups: [leads], secret: {{ file: hook.secret }} }}"
            ))
            .line(&format!(
                "identity:\n  issuers:\n    corp:\n      url: {}\n      client_id: tidegate\n      \
                 client_secret: {{ file: client.secret }}\n      algorithms: [ES256]\n      \
                 scopes: [profile, email, groups]",
                provider.issuer()
            ))
            .start();
        Self { told, _provider: provider, gateway, origin }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Signs somebody in, by a browser of their own.
    fn browser(&self, name: &str) -> Browser {
        let browser = Browser::start();
        browser.goto(&self.at("/approvals"));
        if browser.count("a[href*='/oidc/corp']") > 0 {
            browser.click("a[href*='/oidc/corp']");
        }
        browser.sign_in_at_provider(name);
        browser.wait_url("/approvals$");
        // The provider's own pages want a font from elsewhere.
        let _of_the_provider = (browser.said(), browser.act("asked", json!({})));
        browser
    }

    /// Makes a password on the page.
    fn endpoint(&self, browser: &Browser, user: &str) -> Endpoint {
        browser.goto(&self.at("/access"));
        browser.click("button:has-text('Make a password')");
        browser.wait("#password code");
        let endpoint = Endpoint {
            port: self.gateway.port(),
            user: user.into(),
            password: browser.text("#password code"),
            database: "warehouse".into(),
            sslmode: "require",
        };
        browser.click("text=Done");
        endpoint
    }

    /// Registers a key of the browser's.
    fn register(&self, browser: &Browser) {
        browser.act("authenticator", json!({}));
        browser.goto(&self.at("/access"));
        browser.fill("#key-name", "blue key");
        browser.click("button:has-text('Register a key')");
        browser.wait_url("done=registered");
        assert!(browser.text("#main").contains("blue key"));
    }

    /// Runs a statement that waits, in the background; gives the client and the id of its request.
    fn hold(&self, endpoint: &Endpoint, sql: &str, approver: &Browser) -> (Child, String) {
        let mut psql = clients::psql_program();
        psql.envs(endpoint.variables()).args(["-XAt", "-c", sql]);
        let client = psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut id = String::new();
        wait_until("the statement waits for a vote", PATIENCE, || {
            approver.goto(&self.at("/approvals"));
            let rows = approver.act("texts", json!({"at": "section:has(#yours) .row"}));
            let row = rows.as_array().unwrap().first().map(|row| row.as_str().unwrap().to_owned()).unwrap_or_default();
            id = row.split_whitespace().find(|word| word.starts_with("TG-")).unwrap_or_default().to_owned();
            !id.is_empty()
        });
        (client, id)
    }

    fn records(&self, what: &str) -> Vec<Value> {
        self.gateway.records().into_iter().filter(|record| record.to_string().contains(what)).collect()
    }
}

/// What a page must be at any width and in any theme; leaves a picture.
#[track_caller]
fn look(browser: &Browser, name: &str) {
    let folder = target().join("console-pages");
    std::fs::create_dir_all(&folder).unwrap();
    for (width, height) in [(1280, 800), (390, 844)] {
        browser.act("size", json!({"width": width, "height": height}));
        for theme in ["light", "dark"] {
            browser.act("theme", json!({ "name": theme }));
            let path = folder.join(format!("{name}-{width}-{theme}.png"));
            browser.act("picture", json!({ "path": path }));
            let over = browser.act("run", json!({"code": "document.documentElement.scrollWidth - innerWidth"}));
            assert!(over.as_i64().unwrap() <= 0, "{name} is wider than a window of {width}: by {over}");
            let pale = browser.act("run", json!({ "code": PALE }));
            assert_eq!(pale, json!([]), "{name} in {theme} at {width} has text of too little contrast");
        }
    }
    let nameless = browser.act("run", json!({ "code": NAMELESS }));
    assert_eq!(nameless, json!([]), "{name} has controls without a name");
    for landmark in ["main h1", "nav[aria-label]", "html[lang=en]"] {
        assert_eq!(browser.count(landmark), 1, "{name}: {landmark}");
    }
    assert_eq!(browser.said(), [] as [&str; 0], "{name}");
    browser.act("size", json!({"width": 1280, "height": 800}));
}

/// Texts whose contrast with what is behind them is less than WCAG's AA asks for.
const PALE: &str = r#"(() => {
  const parse = (text) => text.startsWith('color(srgb')
    ? text.match(/[\d.]+/g).map(Number).map((v, i) => i < 3 ? v * 255 : v) : text.match(/[\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor)
      if (color.length < 4 || color[3] === 1) return color
    }
    return parse(getComputedStyle(document.body).backgroundColor)
  }
  const pale = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
    const style = getComputedStyle(element)
    if (!own || !element.checkVisibility() || element.closest('.unseen, .skip, :disabled, option')) continue
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x)
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700
    const ratio = (a + .05) / (b + .05)
    if (ratio < (large ? 3 : 4.5)) pale.push(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`)
  }
  return [...new Set(pale)]
})()"#;

/// Fields, buttons and links that a screen reader has no name for.
const NAMELESS: &str = r#"[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, meter, dialog')]
  .filter((e) => !(e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 100))"#;

#[test]
fn a_second_person_approves_with_a_key_and_every_page_holds_at_any_width_and_theme() {
    let door = Door::open();
    let (ann, lee) = (door.browser("ann"), door.browser("lee"));
    let endpoint = door.endpoint(&ann, "ann");
    look(&ann, "access");
    clients::rows(&endpoint, "SELECT first_name, ssn, dob FROM clinic.patients ORDER BY patient_id LIMIT 3").success();

    door.register(&lee);
    look(&lee, "keys");
    let sql = "DELETE FROM clinic.notes WHERE note_id = -1 /* nobody */";
    let (client, id) = door.hold(&endpoint, sql, &lee);
    look(&lee, "approvals");
    ann.goto(&door.at(&format!("/approvals/{id}")));
    assert!(ann.text("#main").contains("nobody votes on what they asked for"));
    lee.click(&format!("a[href='/approvals/{id}']"));
    assert!(lee.text(".statement").contains("DELETE FROM clinic.notes WHERE note_id = -1 /* nobody */"));
    look(&lee, "approval");
    lee.fill("#reason", "looked at the ticket: nobody has that number");
    lee.click("button:has-text('Approve')");
    lee.wait_url("done=voted");
    look(&lee, "approved");
    let mut notices: Vec<String> = Vec::new();
    for event in ["request.pending", "request.approved", "request.consumed"] {
        while !notices.iter().any(|notice| notice.contains(event)) {
            notices.push(door.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{event}: {notices:?}")));
        }
        let told = notices.iter().find(|notice| notice.contains(event)).unwrap();
        assert!(told.contains("webhook-signature: v1,") && told.contains(&id) && !told.contains("DELETE"), "{told}");
    }
    let done = client.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("DELETE 0"), "{done:?}");
    wait_until("the vote is in the log, with what the key signed", PATIENCE, || {
        door.records(&id).iter().any(|record| record.to_string().contains("assertion"))
    });

    lee.goto(&door.at("/sessions"));
    look(&lee, "sessions");
    let mut link = Value::Null;
    wait_until("ann's session with rows is in the log", PATIENCE, || {
        lee.goto(&door.at("/sessions?user=ann"));
        link = lee.act(
            "run",
            json!({"code": "[...document.querySelectorAll('tbody tr')].find((r) => r.cells[6].innerText === '3')?.querySelector('a').href ?? null"}),
        );
        link.is_string()
    });
    lee.goto(link.as_str().unwrap());
    look(&lee, "session");
    lee.fill("#why", "review of the week's access");
    lee.click("button:has-text('Replay')");
    lee.wait(".replay .statement");
    look(&lee, "replay");
    assert!(lee.text(".replay").contains("SELECT first_name, ssn, dob"));
    wait_until("who looked is on record", PATIENCE, || !door.records("review of the week's access").is_empty());

    lee.goto(&door.at("/policy"));
    lee.fill("#statement", "SELECT ssn FROM clinic.patients");
    lee.act("select", json!({"at": "#role", "value": "analyst"}));
    lee.click("button:has-text('Explain')");
    lee.wait("#answer .verdict");
    assert!(
        lee.text("#answer").contains("allowed") && lee.text("#answer").contains("keep-last"),
        "{}",
        lee.text("#answer")
    );
    look(&lee, "policy");
    lee.goto(&door.at("/health"));
    look(&lee, "health");

    let dana = door.browser("dana");
    dana.goto(&door.at("/people"));
    look(&dana, "people");
    dana.act("press", json!({"key": "?"}));
    dana.wait("dialog[open]");
    dana.act("press", json!({"key": "Escape"}));
    wait_until("the help is closed", PATIENCE, || dana.count("dialog[open]") == 0);
    // The first key comes before the next frame, when the focus is still in what was closed.
    let code = "(() => {
      const help = document.querySelector('#help')
      help.showModal()
      help.close()
      const target = document.activeElement
      target.dispatchEvent(new KeyboardEvent('keydown', { key: 'g', bubbles: true }))
      return help.contains(target)
    })()";
    assert_eq!(dana.act("run", json!({ "code": code })), json!(true));
    dana.act("press", json!({"key": "h"}));
    dana.wait_url("/health$");
    // Nothing came from anywhere else than this machine.
    let asked = dana.act("asked", json!({}));
    let elsewhere = |url: &Value| !["localhost", "127.0.0.1"].iter().any(|host| url.as_str().unwrap().contains(host));
    assert!(!asked.as_array().unwrap().iter().any(elsewhere), "{asked}");
}

#[test]
fn nothing_that_others_wrote_runs_on_a_page() {
    let door = Door::open();
    let (ann, lee) = (door.browser("ann"), door.browser("lee"));
    let mut endpoint = door.endpoint(&ann, "ann");
    let sql = format!("SELECT 'x{HOSTILE}' AS \"{}\"", HOSTILE.replace('"', "\"\""));
    clients::rows(&endpoint, &sql);
    endpoint.sslmode = "require";
    let held = format!("DELETE FROM clinic.notes WHERE note_id = -2 /* {HOSTILE} */ -- \u{202e}{HOSTILE}");
    let (mut client, id) = door.hold(&endpoint, &held, &lee);
    let tame = |browser: &Browser, page: &str| {
        assert_eq!(browser.act("run", json!({"code": "window.ran ?? 0"})), json!(0), "{page}");
        assert_eq!(browser.said(), [] as [&str; 0], "{page}: its content policy had to stop something");
    };
    for page in
        [format!("/approvals/{id}"), "/approvals".into(), "/sessions".into(), format!("/sessions?text={HOSTILE}")]
    {
        lee.goto(&door.at(&page));
        tame(&lee, &page);
    }
    lee.goto(&door.at(&format!("/approvals/{id}")));
    assert!(lee.text(".statement").contains("U+202E") && lee.text(".statement").contains("<script>"));
    // A refusal from the console reaches the client that waits.
    lee.fill("#reason", "this is not a ticket");
    lee.click("button:has-text('Deny')");
    lee.wait_url("done=voted");
    assert!(!client.wait().unwrap().success());
    lee.goto(&door.at("/policy"));
    lee.fill("#statement", &sql);
    lee.click("button:has-text('Explain')");
    lee.wait("#answer");
    tame(&lee, "/policy");
    // Another site's page cannot put it into a frame.
    let framed = "new Promise((done) => { const f = document.createElement('iframe'); f.src = '/access'; \
                  f.onload = () => done(!!f.contentDocument?.querySelector('main')); f.onerror = () => done(false); \
                  document.body.append(f); setTimeout(() => done(false), 3000) })";
    assert_eq!(lee.act("run", json!({ "code": framed })), json!(false));
    let _blocked = lee.said();
    // What was signed out is nobody.
    lee.goto(&door.at("/access"));
    lee.click("text=Sign out");
    lee.wait("text=You have signed out");
    assert_eq!(lee.goto(&door.at("/api/v1/me")), 401);
}
