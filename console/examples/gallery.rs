//! The console over a gateway that does not exist, for those who change its pages: `cargo run -p console --example gallery`.
//!
//! Prints its address and a token for each of four people; put one into the cookie `tidegate`.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../tests/console/made_up.rs"]
mod made_up;
#[path = "../tests/console/served.rs"]
mod served;

fn main() {
    let served = served::Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    let people = [
        ("bob", served.sign_in("bob", &["leads", "auditors"])),
        ("cara", served.sign_in("cara", &["auditors"])),
        ("dana", served.sign_in("dana", &["admins", "leads", "engineers"])),
    ];
    let text = "DELETE FROM patients p\nUSING visits v\nWHERE v.patient_id = p.id\n  AND p.name = 'р\u{430}ul' /*\u{202e} } \u{2066}archived\u{2069} */\n  AND v.day < $1";
    let id = served.hold(&ann, text, 1);
    served.hold(&people[2].1, "UPDATE visits SET note = NULL", 2);
    let reason = "CASE-4711: the customer cannot see an order";
    let person = served.engine.person(&ann.who).unwrap();
    for role in ["oncall", "reader"] {
        served.engine.ask(&person, "warehouse", role, 3600, reason, "10.1.2.3").unwrap();
    }
    served.engine.mint(&ann.sign_in, "SCRAM-SHA-256$x", "", "warehouse", "CASE-4711", 3600).unwrap();
    println!("{} {id}", served.origin);
    println!("ann {}", ann.token);
    for (name, of) in &people {
        println!("{name} {}", of.token);
    }
    loop {
        std::thread::park();
    }
}
