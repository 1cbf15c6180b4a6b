//! What the gateway's account may do that it should not: each of these is a way around masking.
//!
//! The account runs every client's statements. Rules refuse the dangerous ones, but rights that the account does not have
//! need no rule.

use tokio_postgres::Client;

/// Most schemas named in a warning.
const SCHEMAS_NAMED: usize = 5;

/// Asks the target about its own account.
const RIGHTS: &str = "SELECT r.rolsuper, r.rolcreaterole, r.rolreplication, \
    pg_catalog.pg_has_role(r.oid, 'pg_read_server_files', 'MEMBER'), \
    pg_catalog.pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER'), \
    pg_catalog.pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER'), \
    pg_catalog.has_table_privilege(r.oid, 'pg_catalog.pg_statistic', 'SELECT'), \
    pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE'), \
    ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_namespace n \
      WHERE pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE') AND n.nspname !~ '^pg_' \
      AND n.nspname <> 'information_schema' ORDER BY 1) \
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rights {
    superuser: bool,
    create_role: bool,
    replication: bool,
    read_files: bool,
    write_files: bool,
    execute_program: bool,
    statistics: bool,
    create_schema: bool,
    create_in: Vec<String>,
}

/// Warnings for people, empty if the account has only what it needs.
pub(crate) async fn warnings(client: &Client, account: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let row = client.query_one(RIGHTS, &[]).await?;
    let rights = Rights {
        superuser: row.try_get(0)?,
        create_role: row.try_get(1)?,
        replication: row.try_get(2)?,
        read_files: row.try_get(3)?,
        write_files: row.try_get(4)?,
        execute_program: row.try_get(5)?,
        statistics: row.try_get(6)?,
        create_schema: row.try_get(7)?,
        create_in: row.try_get(8)?,
    };
    Ok(judge(&rights, account))
}

fn judge(rights: &Rights, account: &str) -> Vec<String> {
    let name = format!("account {account}");
    if rights.superuser {
        // It has every other right too.
        return vec![format!(
            "{name} is a superuser: it can read files, run programs and change any object; use an account with only the \
             rights its users need"
        )];
    }
    let mut warnings = Vec::new();
    let mut warn = |found: bool, text: &str| {
        if found {
            warnings.push(format!("{name} {text}"));
        }
    };
    warn(rights.create_role, "can create and change roles (CREATEROLE)");
    warn(rights.replication, "can replicate the whole cluster (REPLICATION)");
    warn(rights.read_files, "can read the server's files (pg_read_server_files)");
    warn(rights.write_files, "can write the server's files (pg_write_server_files)");
    warn(rights.execute_program, "can run programs on the server (pg_execute_server_program)");
    warn(rights.statistics, "can read pg_statistic, which holds samples of every column");
    warn(rights.create_schema, "can create schemas in this database");
    if !rights.create_in.is_empty() {
        let mut schemas = rights.create_in.iter().take(SCHEMAS_NAMED).cloned().collect::<Vec<_>>().join(", ");
        if rights.create_in.len() > SCHEMAS_NAMED {
            schemas.push_str(&format!(" and {} more", rights.create_in.len() - SCHEMAS_NAMED));
        }
        warnings.push(format!(
            "{name} can create objects in {schemas}: a view or function there can carry data past the rules"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_has_its_warning_and_none_has_none() {
        assert_eq!(judge(&Rights::default(), "app"), Vec::<String>::new());
        let all = Rights {
            superuser: false,
            create_role: true,
            replication: true,
            read_files: true,
            write_files: true,
            execute_program: true,
            statistics: true,
            create_schema: true,
            create_in: (0..7).map(|i| format!("s{i}")).collect(),
        };
        let warnings = judge(&all, "app");
        assert_eq!(warnings.len(), 8);
        assert!(warnings[7].contains("s0, s1, s2, s3, s4 and 2 more"), "{}", warnings[7]);
        let superuser = judge(&Rights { superuser: true, ..all }, "app");
        assert_eq!(superuser.len(), 1);
        assert!(superuser[0].contains("superuser"));
    }
}
