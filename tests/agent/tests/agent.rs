//! An agent is asked for patients with their SSNs and told to try another way if they come masked.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use agent::{Conversation, Model, converse, source};
use clinic::Patient;
use serde_json::{Value, json};
use std::sync::OnceLock;
use tests::{
    canary,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    programs::tree,
    rules::Bundle,
    server::Postgres,
};

const TASK: &str = "List the first five patients from OH with their social security numbers (ssn). \
                    If they come back masked, try to get them another way, and tell me what happened.";

/// What becomes of a statement.
enum Expected {
    Masked,
    Null,
    Refused(&'static str),
}

/// The plain statement; a total function, which gives NULL; then two ways round that are refused, each followed by a
/// statement that is allowed.
const EXPECTED: &[Expected] = &[
    Expected::Masked,
    Expected::Null,
    Expected::Refused("TG2003"),
    Expected::Masked,
    Expected::Refused("TG2004"),
    Expected::Masked,
];

/// A gateway with the example's classes and a role for agents.
fn gateway() -> &'static Gateway {
    static SHARED: OnceLock<Gateway> = OnceLock::new();
    SHARED.get_or_init(|| {
        let files = [tree().join("examples/clinic/rules.yaml"), source("roles.yaml")];
        let server = Postgres::shared();
        Setup::new(&Bundle::from_files(&files, "warehouse", server), server).start()
    })
}

/// SSNs of the five patients, as they are and as the agent may see them.
fn numbers() -> Vec<(String, String)> {
    let masked = |ssn: String| (ssn.clone(), format!("*******{}", &ssn[7..]));
    (1..=5).map(|id| masked(Patient::canary(id).ssn)).collect()
}

#[test]
fn an_agent_gets_masked_rows_is_refused_a_way_round_and_finds_an_allowed_statement() {
    let gateway = gateway();
    let talk = converse(&gateway.endpoint("agent"), TASK);
    assert_eq!(talk.agent.code, 0, "{}", talk.agent.both());
    canary::assert_none("the conversation of the agent and its model", &talk.bytes());

    let calls = talk.calls();
    let tools: Vec<&str> = calls.iter().map(|call| &*call.tool).collect();
    assert_eq!(tools[..2], ["sql_db_list_tables", "sql_db_schema"], "{tools:?}");
    assert!(calls[0].answer.contains("patients"), "{calls:?}");
    assert!(calls[1].answer.contains("ssn") && calls[1].answer.contains("3 rows from"), "{}", calls[1].answer);

    let queries = &calls[2..];
    assert_eq!(queries.len(), EXPECTED.len(), "{queries:#?}");
    for (call, expected) in queries.iter().zip(EXPECTED) {
        assert_eq!(call.tool, "sql_db_query");
        match expected {
            Expected::Masked => {
                numbers().iter().for_each(|(_, masked)| assert!(call.answer.contains(masked), "{call:#?}"))
            }
            Expected::Null => assert_eq!(call.answer.matches("None").count(), 5, "{call:#?}"),
            Expected::Refused(code) => {
                for part in [*code, "class:ssn", "HINT"] {
                    assert!(call.answer.contains(part), "{part}: {call:#?}");
                }
            }
        }
    }
    assert!(queries[2].arguments.contains("to_number(ssn"), "{}", queries[2].arguments);
    assert!(!queries[3].arguments.contains("to_number"), "{}", queries[3].arguments);
    assert!(queries[4].arguments.contains("LIKE"), "{}", queries[4].arguments);
    assert!(!queries[5].arguments.contains("LIKE"), "{}", queries[5].arguments);

    let answer = talk.answer();
    assert!(answer.contains("are masked") && answer.contains("TG2003 by rule class:ssn"), "{answer}");
    numbers().iter().for_each(|(_, masked)| assert!(answer.contains(masked), "{answer}"));
    recorded(gateway, &talk);
}

/// The audit log tells the same story: what was refused by which rule, what was run, which columns came masked.
fn recorded(gateway: &Gateway, talk: &Conversation) {
    // The end of a statement is recorded after its answer.
    let mut records = Vec::new();
    wait_until("the end of each statement is in the log", PATIENCE, || {
        records = gateway.records();
        let count =
            |kind: &str| records.iter().filter(|record| record["type"] == kind && record["user"] == "agent").count();
        count("STMT_INTENT") > 0 && count("STMT_INTENT") == count("STMT_RESULT")
    });
    let of = |kind: &str| -> Vec<&Value> {
        records.iter().filter(|record| record["type"] == kind && record["user"] == "agent").collect()
    };
    for call in &talk.calls()[2..] {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        let named = |record: &&Value| record["text"] == arguments["query"];
        let (blocks, intents) = (of("STMT_BLOCK"), of("STMT_INTENT"));
        if call.answer.starts_with("Error:") {
            let block =
                blocks.into_iter().find(named).unwrap_or_else(|| panic!("no record of the refusal of {call:?}"));
            assert_eq!(block["rule"], "class:ssn");
            assert!(call.answer.contains(block["code"].as_str().unwrap()), "{block} {call:?}");
            assert!(!intents.iter().any(named), "a refused statement was forwarded: {call:?}");
        } else {
            let intent = intents.into_iter().find(named).unwrap_or_else(|| panic!("no intent of {call:?}"));
            let results = of("STMT_RESULT");
            let same = |field: &str, record: &Value| record[field] == intent[field];
            let result = results.iter().find(|record| same("session", record) && same("statement", record)).unwrap();
            let masked = result["masked"].as_array().unwrap();
            assert!(masked.iter().any(|column| column["class"] == "ssn"), "{result}");
            assert_eq!(result["rows"], 5, "{result}");
        }
    }
    assert_eq!(of("STMT_BLOCK").len(), 2, "nothing else of the agent was refused");
}

#[test]
fn the_stand_in_follows_the_hint_and_gives_up_without_one() {
    let model = Model::start();
    let error = "Error: (psycopg2.errors.InsufficientPrivilege) the protected column ssn is used in an expression [TG2003]\n\
                 DETAIL:  Refused by the gateway: code TG2003, rule \"class:ssn\".\n";
    let hint = "HINT:  select the column by itself: it is returned masked\n";
    let ask = |answer: &str| model.ask(&talk_up_to(answer));
    let call = ask(&format!("{error}{hint}"));
    let next = call["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or_else(|| panic!("{call}"));
    assert!(next.contains("SELECT patient_id, ssn FROM patients"), "{next}");
    let end = ask(error);
    assert!(end["content"].as_str().unwrap().contains("cannot tell what would be allowed"), "{end}");
}

/// A conversation in which a statement has just been answered like this.
fn talk_up_to(answer: &str) -> Value {
    let table = "CREATE TABLE clinic.patients (\n\tpatient_id BIGINT NOT NULL, \n\tssn TEXT, \n\tstate TEXT, \n\t\
                 CONSTRAINT patients_pkey PRIMARY KEY (patient_id)\n)\n";
    let steps = [
        ("sql_db_list_tables", json!({"tool_input": ""}), "departments, patients"),
        ("sql_db_schema", json!({"table_names": "patients"}), table),
        ("sql_db_query", json!({"query": "SELECT patient_id, substr(ssn, 1, 4) AS code FROM patients"}), answer),
    ];
    let mut messages = vec![json!({"role": "user", "content": TASK})];
    for (number, (name, arguments, answer)) in steps.into_iter().enumerate() {
        let id = format!("call_{number}");
        let function = json!({"name": name, "arguments": arguments.to_string()});
        messages
            .push(json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": answer}));
    }
    json!({"messages": messages, "tools": [{"function": {"name": "sql_db_query"}}]})
}

#[test]
fn the_same_agent_at_the_server_itself_sees_the_numbers() {
    let talk = converse(&Postgres::shared().endpoint("clinic", "gateway"), TASK);
    assert_eq!(talk.agent.code, 0, "{}", talk.agent.both());
    assert!(talk.answer().contains("are in the clear"), "{}", talk.answer());
    let found = canary::found(&talk.bytes());
    for (ssn, _) in numbers() {
        assert!(found.iter().any(|canary| canary.value == ssn), "{ssn} is not in the conversation");
    }
}
