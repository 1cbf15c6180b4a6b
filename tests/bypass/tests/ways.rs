//! The catalogue against the gateway: at least one test per row. Each tries every variant in every form it has, by the
//! raw-frame client, as an analyst and as an agent: nothing protected comes out. And each variant does bring something out of
//! a direct connection, or says why it does not.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bypass::{
    catalogue,
    ground::Ground,
    names::Names,
    recover::Finder,
    run::{self, FORMS, Form, Judge, Outcome},
    truth::Truth,
    way::{How, Way},
};
use std::sync::OnceLock;

struct Known {
    truth: Truth,
    finder: Finder,
    names: Names,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let truth = Ground::shared().truth();
        Known { finder: Finder::new(&truth), names: Ground::shared().names(), truth }
    })
}

#[track_caller]
fn nothing_comes_out(id: &str) {
    let known = known();
    let ground = Ground::shared();
    let judge = Judge { names: &known.names, truth: &known.truth, finder: &known.finder };
    let ways: Vec<Way> = catalogue::all().into_iter().filter(|way| way.id == id).collect();
    assert_eq!(ways.len(), 1, "{id} is in the catalogue once");
    let mut wrong = Vec::new();
    for variant in &ways[0].variants {
        let mut directly = 0;
        for form in FORMS {
            let outcome = run::attempt(&judge, &ground.direct(variant.privileged), variant, form);
            if let Outcome::Failed(why) = &outcome {
                wrong.push(format!("{}, directly, {}: {why}", variant.name, form.name()));
            }
            directly += outcome.characters();
            // The command shows every form; here one that works is proof enough.
            if directly > 0 {
                break;
            }
        }
        match (directly, variant.silent) {
            (0, None) => {
                wrong.push(format!("{}: nothing comes out directly either, and no reason is given", variant.name))
            }
            (0, Some(_)) => {}
            (n, Some(_)) => {
                wrong.push(format!("{}: {n} characters come out directly, against the reason given", variant.name))
            }
            (_, None) => {}
        }
        // An agent may do less than an analyst: two forms of it, and none of what is put together from answers.
        let agent: &[Form] =
            if matches!(variant.how, How::Oracle(_)) { &[] } else { &[Form::SimpleText, Form::ExtendedBinary] };
        for (reader, forms) in [("ana", &FORMS[..]), ("agent", agent)] {
            for &form in forms {
                match run::attempt(&judge, &ground.through(reader, variant.privileged), variant, form) {
                    Outcome::Tried { characters: 0, .. } | Outcome::Absent => {}
                    Outcome::Tried { characters, .. } => {
                        wrong.push(format!(
                            "{}, as {reader}, {}: {characters} characters came out",
                            variant.name,
                            form.name()
                        ));
                    }
                    Outcome::Failed(why) => {
                        wrong.push(format!("{}, as {reader}, {}: {why}", variant.name, form.name()))
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{id} {}:\n{}", ways[0].title, wrong.join("\n"));
}

macro_rules! rows {
    ($($name:ident $id:literal)*) => {
        $(#[test]
        fn $name() {
            nothing_comes_out($id);
        })*

        #[test]
        fn every_row_of_the_catalogue_has_a_test() {
            let tested = [$($id),*];
            for way in catalogue::all() {
                assert!(tested.contains(&way.id), "{} {} has none", way.id, way.title);
            }
        }
    };
}

rows! {
    a1_aliases "A1"
    a2_expressions "A2"
    a3_set_operations "A3"
    a4_subqueries_and_lateral "A4"
    a5_recursive_cte_and_full_join_using "A5"
    a6_shifted_positions_and_duplicate_names "A6"
    a7_whole_rows_and_records "A7"
    a8_arrays_composites_and_json_paths "A8"
    a9_aggregates_and_windows_that_return_values "A9"
    a10_views_and_materialised_views "A10"
    a11_inheritance_children_and_partitions "A11"
    a12_returning "A12"
    a13_join_using_and_natural_join "A13"
    b1_no_describe "B1"
    b2_portals_partial_execute_and_pipelines "B2"
    b3_prepare_and_execute_in_sql "B3"
    b4_several_statements_in_a_query "B4"
    b5_cursors "B5"
    b6_copy_to_stdout "B6"
    b7_files_and_programs_on_the_server "B7"
    b8_function_call "B8"
    b9_large_objects "B9"
    b10_replication "B10"
    b11_tls_and_gss_games "B11"
    b12_cancelling_with_keys "B12"
    b13_binary_results "B13"
    b14_large_messages "B14"
    c1_text_of_errors "C1"
    c2_detail_of_constraint_errors "C2"
    c3_notices "C3"
    c4_debug_output "C4"
    c5_notifications "C5"
    c6_parameter_status "C6"
    c7_names_of_columns "C7"
    c8_counts_of_rows "C8"
    c9_what_others_asked "C9"
    d1_functions_that_read "D1"
    d2_built_ins_that_take_sql "D2"
    d3_anonymous_code "D3"
    d4_triggers_rules_and_defaults "D4"
    d5_functions_with_harmless_names "D5"
    e1_copied_then_read "E1"
    e2_renamed_and_swapped "E2"
    e3_sequences_settings_locks_and_names "E3"
    e5_masks_written_back "E5"
    f1_statistics "F1"
    f2_explain "F2"
    f3_pages_and_files "F3"
    f4_what_is_there_at_all "F4"
    g1_choosing_rows "G1"
    g2_grouping_by_parts "G2"
    g3_order_rank_and_limits "G3"
    g4_presence_of_errors "G4"
    g5_time_and_size "G5"
    g6_small_groups_and_differences "G6"
    g7_hashes "G7"
    h1_encodings "H1"
    h2_how_text_looks "H2"
    h3_look_alikes "H3"
    i1_standard_conforming_strings "I1"
    i2_startup_options_and_roles "I2"
    i3_search_path_and_pg_temp "I3"
    i5_comments_quotes_and_names "I5"
    i6_types_that_run_code "I6"
    i8_names_that_change_meaning "I8"
    n1_another_role "N1"
    n2_left_in_a_pooled_connection "N2"
}

#[test]
fn m1_log_metrics_and_records_hold_no_value() {
    let judge = Judge { names: &known().names, truth: &known().truth, finder: &known().finder };
    for way in catalogue::all().iter().filter(|way| ["A2", "B6", "C1", "C3", "E1"].contains(&way.id)) {
        for variant in &way.variants {
            let _said = run::attempt(&judge, &Ground::shared().through("ana", false), variant, Form::ExtendedText);
        }
    }
    let found = known().finder.find(&Ground::shared().kept(), bypass::recover::Care::Whole);
    assert!(found.is_empty(), "{} values stand in the gateway's own output", found.len());
}
