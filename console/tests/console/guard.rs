//! What must not come through: forms of other sites, stale cookies, other hosts, frames, redirects elsewhere, what is too big.

use crate::made_up::SESSION;
use crate::served::Served;

/// What is wrong with it, its headers, its body.
type Forged<'a> = (&'a str, Vec<(&'a str, &'a str)>, String);

#[test]
fn a_form_that_is_not_from_ones_own_page_does_nothing() {
    let served = Served::start();
    let (ann, bob) = (served.sign_in("ann", &["engineers"]), served.sign_in("bob", &["engineers"]));
    let cookie = format!("tidegate={}", ann.token);
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let form =
        |csrf: &str| format!("csrf={csrf}&target=warehouse&role=oncall&seconds=3600&reason=to+look+at+the+outage");
    let own = form(&ann.sign_in.csrf);
    let forged: &[Forged<'_>] = &[
        ("no token", vec![("Origin", served.origin.as_str())], "target=warehouse".to_owned()),
        ("an empty token", vec![("Origin", &served.origin)], form("")),
        ("somebody else's token", vec![("Origin", &served.origin)], form(&bob.sign_in.csrf)),
        ("another site", vec![("Origin", "https://evil.example")], own.clone()),
        ("no site", vec![("Origin", "null")], own.clone()),
        ("another port", vec![("Origin", "http://localhost:1")], own.clone()),
        ("nobody says from where", vec![], own.clone()),
        (
            "cross-site by fetch metadata",
            vec![("Origin", &served.origin), ("Sec-Fetch-Site", "cross-site")],
            own.clone(),
        ),
        ("same site, another host", vec![("Sec-Fetch-Site", "same-site")], own.clone()),
    ];
    for (what, lines, body) in forged {
        let mut lines = lines.clone();
        lines.extend([("Cookie", cookie.as_str()), kind]);
        let got = served.send("POST", "/access/ask", &lines, body);
        assert_eq!(got.status, 403, "{what}: {}", got.body);
    }
    assert!(served.engine.requests().is_empty());
    assert!(served.kinds().contains(&"cross_site_refused".to_owned()));
    let got = served.send("POST", "/access/ask", &[("Cookie", &cookie), ("Origin", &served.origin), kind], &own);
    assert_eq!((got.status, got.header("location")), (303, Some("/access?done=asked")), "{}", got.body);
    // A form as another type of content, as a script of another site could send it without asking.
    let got = served.send("POST", "/access/ask", &[("Cookie", &cookie), ("Content-Type", "text/plain")], &own);
    assert!(got.status >= 400);
}

#[test]
fn the_cookie_alone_changes_nothing_by_the_api() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    let cookie = format!("tidegate={}", ann.token);
    let body = "{\"target\":\"warehouse\",\"role\":\"oncall\",\"seconds\":3600,\"reason\":\"to look at the outage\"}";
    let json = ("Content-Type", "application/json");
    let got = served.send("POST", "/api/v1/requests", &[("Cookie", &cookie), ("Origin", &served.origin), json], body);
    assert_eq!(got.status, 403, "{}", got.body);
    let token = ("X-CSRF-Token", ann.sign_in.csrf.as_str());
    let got = served.send("POST", "/api/v1/requests", &[("Cookie", &cookie), token, json], body);
    assert_eq!(got.status, 403, "nobody says from where: {}", got.body);
    let lines = [("Cookie", cookie.as_str()), ("Origin", &served.origin), token, json];
    assert_eq!(served.send("POST", "/api/v1/requests", &lines, body).status, 200);
    assert_eq!(served.send("GET", "/api/v1/me", &[("Cookie", &cookie)], "").status, 200);
}

#[test]
fn cookies_that_ended_or_were_made_up_are_nobody() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    assert_eq!(served.page(&ann, "/access").status, 200);
    for cookie in [
        "tidegate=",
        "tidegate=x",
        &format!("tidegate={}a", ann.token),
        &format!("tidegate={0}; tidegate={0}", ann.token),
    ] {
        let got = served.send("GET", "/access", &[("Cookie", cookie)], "");
        assert_eq!((got.status, got.header("location")), (303, Some("/login?return=%2Faccess")), "{cookie}");
    }
    served.engine.sign_out(&ann.sign_in).unwrap();
    assert_eq!(served.page(&ann, "/access").status, 303);
    assert_eq!(served.call(Some(&ann), "GET", "/api/v1/me", None).status, 401);
    let bob = served.sign_in("bob", &[]);
    served.engine.clock().advance_s(9 * 3600);
    assert_eq!(served.page(&bob, "/access").status, 303);
    let got = served.post(&bob, "/access/mint", &[("seconds", "3600")]);
    assert_eq!(got.status, 401);
}

#[test]
fn nothing_frames_sniffs_or_keeps_a_page_and_no_foreign_script_runs() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["auditors"]);
    for path in ["/access", "/approvals", "/sessions", "/policy", "/health", "/nowhere", "/login", "/api/v1/me"] {
        let got = served.page(&ann, path);
        let csp = got.header("content-security-policy").unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"), "{path}: {csp}");
        assert!(!csp.contains("unsafe") && !csp.contains('*') && csp.contains("base-uri 'none'"), "{path}: {csp}");
        assert_eq!(got.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(got.header("cache-control"), Some("no-store"), "{path}");
    }
    for path in ["/access", "/approvals", "/sessions", "/policy", "/health"] {
        let body = served.page(&ann, path).body;
        for never in ["<style", " style=", "javascript:", "http://", "https://cdn"] {
            assert!(!body.replace("http://www.w3.org", "").contains(never), "{path} has {never}");
        }
        assert_eq!(body.matches("<script").count(), 1, "{path}");
    }
}

#[test]
fn other_hosts_and_methods_and_endless_bodies_are_refused() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    assert_eq!(served.send("GET", "/access", &[("Host", "evil.example")], "").status, 421);
    assert_eq!(served.send("GET", "/api/v1/me", &[("Host", "evil.example")], "").status, 421);
    assert_eq!(served.send("GET", "/healthz", &[("Host", "10.0.0.1")], "").status, 200);
    assert_eq!(served.send("TRACE", "/access", &[], "").status, 405);
    let long = "x".repeat(70_000);
    assert_eq!(served.post(&ann, "/access/ask", &[("reason", &long)]).status, 400);
    let body = serde_json::json!({"target": "warehouse", "role": "oncall", "seconds": 60, "reason": long});
    assert_eq!(served.call(Some(&ann), "POST", "/api/v1/requests", Some(&body)).status, 413);
    let head = "x".repeat(100_000);
    assert_eq!(served.send("GET", "/access", &[("X-Long", &head)], "").status, 431);
}

#[test]
fn after_signing_in_one_comes_to_this_site_alone() {
    let served = Served::start();
    for elsewhere in ["//evil.example/", "/\\evil.example", "https://evil.example/"] {
        let got = served.send("GET", elsewhere, &[], "");
        if let Some(to) = got.header("location") {
            assert!(to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\"), "{elsewhere}: {to}");
        }
    }
    let got = served.send("GET", "//evil.example/%2f..", &[], "");
    assert!(got.header("location").is_none_or(|to| to.starts_with("/login?return=")), "{got:?}");
}

#[test]
fn bodies_that_say_something_twice_or_something_else_are_refused() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    let bearer = format!("Bearer {}", ann.token);
    let lines = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    for body in [
        "{\"target\":\"warehouse\",\"target\":\"crm\",\"role\":\"oncall\",\"seconds\":60,\"reason\":\"to look at it\"}",
        "{\"target\":\"warehouse\",\"role\":\"oncall\",\"seconds\":60,\"reason\":\"to look at it\",\"who\":\"root\"}",
        "{\"target\":[],\"role\":\"oncall\",\"seconds\":60,\"reason\":\"to look at it\"}",
        "{\"target\":\"warehouse\",\"role\":\"oncall\",\"seconds\":-1,\"reason\":\"to look at it\"}",
        "{\"target\":\"warehouse\",\"role\":\"oncall\",\"seconds\":1e99,\"reason\":\"to look at it\"}",
        "[]",
        "null",
        "{",
        "",
    ] {
        let got = served.send("POST", "/api/v1/requests", &lines, body);
        assert_eq!(got.status, 400, "{body}: {}", got.body);
    }
    let got = served.send("POST", "/api/v1/requests", &lines[..1], "{}");
    assert_eq!(got.status, 415, "{}", got.body);
    assert!(served.engine.requests().is_empty());
}

#[test]
fn a_session_is_ended_by_its_own_person_or_an_administrator_and_nobody_else() {
    let served = Served::start();
    let (ann, bob) = (served.sign_in("ann", &["engineers"]), served.sign_in("bob", &["leads", "auditors"]));
    let path = format!("/sessions/{SESSION}/end");
    assert_eq!(served.post(&bob, &path, &[("reason", "because")]).status, 403);
    let eve = served.sign_in("eve", &["engineers"]);
    assert_eq!(served.post(&eve, &path, &[("reason", "because")]).status, 404);
    assert!(served.world.killed.lock().unwrap().is_empty());
    assert_eq!(served.post(&ann, &path, &[("reason", "stuck")]).status, 303);
    assert_eq!(*served.world.killed.lock().unwrap(), [SESSION]);
    assert!(served.kinds().contains(&"admin_refused".to_owned()));
}
