//! Identity: a token validated with cached keys (at most 100 µs), and the server's side of a login with a minted password
//! (at least 1,000 per second and core). What the client computes for itself is not timed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use identity::{Algorithm, Expect, Issuer, KeySource, Provider, Signer};
use postgres::scram::{Client, ClientKeys, ITERATIONS_DEFAULT, Offered, Server, Verifier};
use std::time::{Duration, Instant};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";

fn validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validate");
    for (algorithm, kind, option) in [
        (Algorithm::Rs256, "RSA", "rsa_keygen_bits:2048"),
        (Algorithm::Ps256, "RSA", "rsa_keygen_bits:2048"),
        (Algorithm::Es256, "EC", "ec_paramgen_curve:P-256"),
        (Algorithm::Es384, "EC", "ec_paramgen_curve:P-384"),
    ] {
        let signer = signer(kind, option, algorithm);
        let keys = std::env::temp_dir().join(format!("tidegate-bench-keys-{}.json", std::process::id()));
        std::fs::write(&keys, signer.public_set().to_string()).unwrap_or_else(|e| panic!("{}: {e}", keys.display()));
        let mut issuer = Issuer::people("corp", ISSUER, "tidegate");
        issuer.audiences = vec!["urn:tidegate".to_owned()];
        issuer.algorithms = vec![algorithm];
        issuer.keys = KeySource::File(keys.clone());
        let provider = Provider::new(issuer).expect("a sound issuer");
        let claims = serde_json::json!({
            "iss": ISSUER, "sub": "00u1a2b3c4d5e6f7g8h9", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 3600,
            "jti": "7c1d8a5e-33b1-4d0e-9a7c-6f1f5a0e2b11", "client_id": "agents", "scope": "openid db",
            "groups": ["analysts", "engineering", "on-call", "berlin"], "preferred_username": "alice",
        });
        let token = signer.sign("at+jwt", &claims).expect("signs");
        let validated = provider.validate(token.expose(), Expect::Presented, NOW).expect("a good token");
        assert_eq!(validated.groups.len(), 4);
        group.bench_function(algorithm.name(), |bencher| {
            bencher.iter(|| provider.validate(token.expose(), Expect::Presented, NOW));
        });
        std::fs::remove_file(&keys).unwrap_or_else(|e| panic!("{}: {e}", keys.display()));
    }
    group.finish();
}

/// `ring` makes no RSA keys, so OpenSSL does.
fn signer(kind: &str, option: &str, algorithm: Algorithm) -> Signer {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", kind, "-pkeyopt", option])
        .output()
        .expect("openssl makes the keys of the bench");
    let signer = Signer::from_pem(&made.stdout, Some("one".to_owned())).expect("a private key");
    if algorithm == Algorithm::Ps256 { signer.with_pss() } else { signer }
}

fn logins(criterion: &mut Criterion) {
    let password = b"k3v9-minted-password-of-a-person";
    let verifier = Verifier::derive(password, b"sixteen bytes...", ITERATIONS_DEFAULT);
    let binding = [7_u8; 32];
    let mut keys = ClientKeys::new(zeroize::Zeroizing::new(password.to_vec()));
    let offered = Offered { plain: true, plus: true };
    let mut group = criterion.benchmark_group("login");
    group.throughput(Throughput::Elements(1));
    group.bench_function("SCRAM-SHA-256-PLUS, server", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for round in 0..rounds {
                let nonce: [u8; 18] = std::array::from_fn(|i| (round >> (i % 8)) as u8);
                let mut client = Client::new(nonce, Some(binding.to_vec()));
                let (mechanism, first) = client.client_first(offered).expect("begins");
                let begun = Instant::now();
                let mut server = Server::new(verifier.clone(), nonce, Some(&binding));
                let challenge = server.client_first(mechanism.name().as_bytes(), &first).expect("challenges");
                spent += begun.elapsed();
                let proof = client.server_first(&challenge, &mut keys).expect("proves");
                let begun = Instant::now();
                let last = server.client_final(&proof).expect("accepts");
                spent += begun.elapsed();
                client.server_final(&last).expect("knows the verifier");
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, validation, logins);
criterion_main!(benches);
