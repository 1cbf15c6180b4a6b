//! What each kind of statement does, and the leading keywords that name it.
//!
//! Both matches list every statement kind of the grammar; whatever else stands at the top of a statement is unknown.

use pg_query::NodeEnum;
use pg_query::protobuf::{DiscardMode, DropBehavior, ObjectType, TransactionStmtKind, VariableSetKind};

use super::{At, Walker, names};
use crate::facts::{Effects, Kind, SessionUse};

/// What makes relations and types.
pub(super) const MAKES: Effects =
    Effects::CREATE.with(Effects::CREATE_AS).with(Effects::CREATE_VIEW).with(Effects::CREATE_CODE);
/// What writes expressions down, to be evaluated later.
pub(super) const DEFINES: Effects =
    Effects::CREATE.with(Effects::CREATE_VIEW).with(Effects::CREATE_CODE).with(Effects::ALTER);

impl<'a> Walker<'a> {
    /// A statement at the top of the text.
    pub(super) fn top(&mut self, node: &'a NodeEnum) {
        if !matches!(
            node,
            NodeEnum::SelectStmt(_)
                | NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_)
        ) {
            self.literals_matter = true;
        }
        self.dispatch(node);
    }

    /// A statement whose rows go to the client, unless they were stored.
    fn rows(&mut self, query: impl FnOnce(&mut Self) -> crate::graph::QueryId) {
        let query = query(self);
        if matches!(self.graph.query(query).map(|q| &q.body), Some(crate::graph::Body::Values(..))) {
            self.effects.add(Effects::READ);
        }
        match self.into.take() {
            Some(into) => self.store_into(into, query),
            None => self.graph.root = Some(query),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one line for each kind of statement")]
    pub(super) fn dispatch(&mut self, node: &'a NodeEnum) {
        match node {
            NodeEnum::SelectStmt(s) => self.rows(|w| w.select(s, Some(w.scope))),
            NodeEnum::InsertStmt(s) => self.rows(|w| w.insert(s, Some(w.scope))),
            NodeEnum::UpdateStmt(s) => self.rows(|w| w.update(s, Some(w.scope))),
            NodeEnum::DeleteStmt(s) => self.rows(|w| w.delete(s, Some(w.scope))),
            NodeEnum::MergeStmt(s) => self.rows(|w| w.merge(s, Some(w.scope))),
            NodeEnum::CopyStmt(s) => self.copy(s),
            NodeEnum::CreateTableAsStmt(s) => self.create_as(s),
            NodeEnum::ExplainStmt(s) => self.explain(s),

            NodeEnum::VariableSetStmt(s) => self.set(s),
            NodeEnum::VariableShowStmt(s) => self.show(&s.name),
            NodeEnum::DiscardStmt(s) => {
                self.effects.add(Effects::DISCARD);
                if s.target() == DiscardMode::DiscardAll {
                    self.session = SessionUse::ResetAll;
                }
            }
            NodeEnum::TransactionStmt(s) => self.transaction(s),
            NodeEnum::ConstraintsSetStmt(_) => self.effects.add(Effects::TRANSACTION),
            NodeEnum::PrepareStmt(s) => self.prepare(s),
            NodeEnum::ExecuteStmt(s) => self.execute(s),
            NodeEnum::DeallocateStmt(s) => self.deallocate(s),
            NodeEnum::DeclareCursorStmt(s) => self.declare(s),
            NodeEnum::FetchStmt(s) => self.fetch(s),
            NodeEnum::ClosePortalStmt(s) => {
                self.effects.add(Effects::CURSOR);
                self.session = SessionUse::Close(names::owned(&s.portalname));
            }
            NodeEnum::ListenStmt(s) => {
                self.effects.add(Effects::LISTEN);
                self.session = SessionUse::Listen(s.conditionname.clone());
            }
            NodeEnum::UnlistenStmt(_) => self.effects.add(Effects::LISTEN),
            NodeEnum::NotifyStmt(s) => {
                self.effects.add(Effects::NOTIFY);
                self.session = SessionUse::Notify(s.conditionname.clone());
            }
            NodeEnum::LockStmt(s) => {
                self.effects.add(Effects::LOCK);
                self.range_list(&s.relations, true, false);
            }
            NodeEnum::DoStmt(_) => self.effects.add(Effects::DO),
            NodeEnum::CallStmt(s) => {
                self.effects.add(Effects::CALL);
                match s.funccall.as_deref() {
                    Some(call) => self.call(call, At::EVALUATED),
                    None => self.unknown(),
                }
            }

            NodeEnum::TruncateStmt(s) => {
                self.effects.add(Effects::TRUNCATE);
                self.cascade = s.behavior() == DropBehavior::DropCascade;
                self.range_list(&s.relations, false, true);
            }
            NodeEnum::DropStmt(s) => self.drop(s),
            NodeEnum::CreateStmt(s) => self.create_table(s),
            NodeEnum::CreateForeignTableStmt(s) => {
                self.effects.add(Effects::SERVER);
                match s.base_stmt.as_ref() {
                    Some(base) => self.create_table(base),
                    None => self.unknown(),
                }
            }
            NodeEnum::CreateSchemaStmt(s) => {
                self.effects.add(Effects::CREATE);
                for element in &s.schema_elts {
                    self.inner(element);
                }
            }
            NodeEnum::IndexStmt(s) => self.index(s),
            NodeEnum::CreateSeqStmt(s) => self.on_relation(Effects::CREATE, s.sequence.as_ref()),
            NodeEnum::CreateStatsStmt(s) => self.statistics(s),
            NodeEnum::CompositeTypeStmt(s) => {
                self.effects.add(Effects::CREATE);
                if let Some(name) = s.typevar.as_ref().filter(|name| names::is_own(&name.schemaname)) {
                    self.own_name(&name.relname);
                }
            }
            NodeEnum::CreateEnumStmt(s) => {
                self.effects.add(Effects::CREATE);
                self.own_type(&s.type_name);
            }
            NodeEnum::CreateRangeStmt(s) => {
                self.effects.add(Effects::CREATE.with(Effects::CREATE_CODE));
                self.own_type(&s.type_name);
            }
            NodeEnum::DefineStmt(s) => {
                self.own_type(&s.defnames);
                self.effects.add(match s.kind() {
                    ObjectType::ObjectCollation
                    | ObjectType::ObjectTsconfiguration
                    | ObjectType::ObjectTsdictionary => Effects::CREATE,
                    _ => Effects::CREATE.with(Effects::CREATE_CODE),
                });
            }
            NodeEnum::ViewStmt(s) => self.view(s),
            NodeEnum::RuleStmt(s) => self.rule(s),
            NodeEnum::CreatePolicyStmt(s) => {
                self.on_relation(Effects::CREATE_VIEW, s.table.as_ref());
                self.optional(s.qual.as_deref(), At::SHAPING);
                self.optional(s.with_check.as_deref(), At::SHAPING);
            }
            NodeEnum::AlterPolicyStmt(s) => {
                self.on_relation(Effects::ALTER, s.table.as_ref());
                self.optional(s.qual.as_deref(), At::SHAPING);
                self.optional(s.with_check.as_deref(), At::SHAPING);
            }
            NodeEnum::CreateFunctionStmt(s) => self.create_function(s),
            NodeEnum::CreateTrigStmt(s) => self.trigger(s),
            NodeEnum::CreateEventTrigStmt(s) => {
                self.effects.add(Effects::CREATE_CODE);
                self.named_function(&s.funcname, -1);
            }
            NodeEnum::CreateDomainStmt(s) => {
                self.effects.add(Effects::CREATE_CODE);
                self.own_type(&s.domainname);
                self.definitions(&s.constraints);
            }
            NodeEnum::CreateExtensionStmt(_)
            | NodeEnum::CreatePlangStmt(_)
            | NodeEnum::CreateCastStmt(_)
            | NodeEnum::CreateConversionStmt(_)
            | NodeEnum::CreateTransformStmt(_)
            | NodeEnum::CreateOpClassStmt(_)
            | NodeEnum::CreateOpFamilyStmt(_)
            | NodeEnum::CreateAmStmt(_) => self.effects.add(Effects::CREATE_CODE),

            NodeEnum::AlterTableStmt(s) => self.alter_table(s),
            NodeEnum::AlterSeqStmt(s) => self.on_relation(Effects::ALTER, s.sequence.as_ref()),
            NodeEnum::RenameStmt(s) => {
                self.effects.add(Effects::ALTER.with(owner_effects(s.rename_type())));
                self.cascade = s.behavior() == DropBehavior::DropCascade;
                if s.rename_type() == ObjectType::ObjectSchema {
                    self.everything(Some(&s.subname));
                }
                // It may be one of the session's own.
                if names_type(s.rename_type()) {
                    self.own_name(&s.newname);
                }
                let _ = self.relation(s.relation.as_ref(), false, true);
                self.object(s.rename_type(), s.object.as_deref());
            }
            NodeEnum::AlterObjectSchemaStmt(s) => {
                self.on_relation(Effects::ALTER, s.relation.as_ref());
                self.object(s.object_type(), s.object.as_deref());
            }
            NodeEnum::AlterOwnerStmt(s) => {
                self.effects.add(Effects::ALTER.with(owner_effects(s.object_type())));
                let _ = self.relation(s.relation.as_ref(), false, true);
                self.object(s.object_type(), s.object.as_deref());
            }
            NodeEnum::AlterObjectDependsStmt(s) => {
                self.on_relation(Effects::ALTER, s.relation.as_ref());
                self.object(s.object_type(), s.object.as_deref());
            }
            NodeEnum::CommentStmt(s) => {
                self.effects.add(Effects::ALTER);
                self.object(s.objtype(), s.object.as_deref());
            }
            NodeEnum::SecLabelStmt(s) => {
                self.effects.add(Effects::ALTER);
                self.object(s.objtype(), s.object.as_deref());
            }
            NodeEnum::AlterDomainStmt(s) => {
                self.effects.add(Effects::ALTER.with(Effects::CREATE_CODE));
                if let Some(definition) = s.def.as_deref() {
                    self.definition(definition);
                }
            }
            NodeEnum::AlterExtensionStmt(_) => self.effects.add(Effects::ALTER.with(Effects::CREATE_CODE)),
            NodeEnum::AlterExtensionContentsStmt(s) => {
                self.effects.add(Effects::ALTER);
                self.object(s.objtype(), s.object.as_deref());
            }
            NodeEnum::AlterFunctionStmt(_)
            | NodeEnum::AlterTypeStmt(_)
            | NodeEnum::AlterEnumStmt(_)
            | NodeEnum::AlterCollationStmt(_)
            | NodeEnum::AlterOperatorStmt(_)
            | NodeEnum::AlterOpFamilyStmt(_)
            | NodeEnum::AlterStatsStmt(_)
            | NodeEnum::AlterEventTrigStmt(_)
            | NodeEnum::AlterTsdictionaryStmt(_)
            | NodeEnum::AlterTsconfigurationStmt(_)
            | NodeEnum::AlterTableMoveAllStmt(_) => self.effects.add(Effects::ALTER),

            NodeEnum::GrantStmt(s) => self.grant(s),
            NodeEnum::GrantRoleStmt(_) | NodeEnum::AlterDefaultPrivilegesStmt(_) => self.effects.add(Effects::GRANT),
            NodeEnum::ReassignOwnedStmt(_) => {
                self.effects.add(Effects::GRANT);
                self.everything(None);
            }
            NodeEnum::DropOwnedStmt(_) => {
                self.effects.add(Effects::DROP.with(Effects::GRANT));
                self.everything(None);
            }
            NodeEnum::CreateRoleStmt(_) | NodeEnum::AlterRoleStmt(_) => self.effects.add(Effects::ROLE),
            // What sessions are given at login, the search path among it, is the server's as much as a database's is.
            NodeEnum::AlterRoleSetStmt(_) => self.effects.add(Effects::ROLE.with(Effects::SERVER)),
            NodeEnum::DropRoleStmt(_) => self.effects.add(Effects::ROLE.with(Effects::DROP)),

            NodeEnum::CreatedbStmt(_)
            | NodeEnum::CreateTableSpaceStmt(_)
            | NodeEnum::CreateFdwStmt(_)
            | NodeEnum::CreateForeignServerStmt(_)
            | NodeEnum::CreateUserMappingStmt(_)
            | NodeEnum::CreateSubscriptionStmt(_)
            | NodeEnum::ImportForeignSchemaStmt(_) => self.effects.add(Effects::SERVER.with(Effects::CREATE)),
            NodeEnum::CreatePublicationStmt(s) => {
                self.effects.add(Effects::SERVER.with(Effects::CREATE));
                self.definitions(&s.pubobjects);
            }
            NodeEnum::AlterPublicationStmt(s) => {
                self.effects.add(Effects::SERVER.with(Effects::ALTER));
                self.definitions(&s.pubobjects);
            }
            NodeEnum::AlterDatabaseStmt(_)
            | NodeEnum::AlterDatabaseRefreshCollStmt(_)
            | NodeEnum::AlterDatabaseSetStmt(_)
            | NodeEnum::AlterSystemStmt(_)
            | NodeEnum::AlterTableSpaceOptionsStmt(_)
            | NodeEnum::AlterFdwStmt(_)
            | NodeEnum::AlterForeignServerStmt(_)
            | NodeEnum::AlterUserMappingStmt(_)
            | NodeEnum::AlterSubscriptionStmt(_) => self.effects.add(Effects::SERVER.with(Effects::ALTER)),
            NodeEnum::DropdbStmt(_)
            | NodeEnum::DropTableSpaceStmt(_)
            | NodeEnum::DropUserMappingStmt(_)
            | NodeEnum::DropSubscriptionStmt(_) => self.effects.add(Effects::SERVER.with(Effects::DROP)),
            NodeEnum::LoadStmt(_) => self.effects.add(Effects::SERVER),

            NodeEnum::VacuumStmt(s) => {
                self.effects.add(Effects::MAINTENANCE);
                for item in &s.rels {
                    match item.node.as_ref() {
                        Some(NodeEnum::VacuumRelation(item)) => drop(self.relation(item.relation.as_ref(), true, true)),
                        _ => self.unknown(),
                    }
                }
            }
            NodeEnum::ClusterStmt(s) => self.on_relation(Effects::MAINTENANCE, s.relation.as_ref()),
            NodeEnum::ReindexStmt(s) => self.on_relation(Effects::MAINTENANCE, s.relation.as_ref()),
            NodeEnum::RefreshMatViewStmt(s) => self.on_relation(Effects::MAINTENANCE, s.relation.as_ref()),
            NodeEnum::CheckPointStmt(_) => self.effects.add(Effects::MAINTENANCE),
            _ => self.unknown(),
        }
    }
}

/// Renaming one gives a type another name. The server renames a table by `ALTER INDEX` too.
const fn names_type(object: ObjectType) -> bool {
    matches!(
        object,
        ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectIndex
            | ObjectType::ObjectSequence
            | ObjectType::ObjectType
            | ObjectType::ObjectDomain
    )
}

/// What renaming or owning an object of this kind is beside ALTER.
const fn owner_effects(object: ObjectType) -> Effects {
    match object {
        ObjectType::ObjectRole => Effects::ROLE,
        ObjectType::ObjectDatabase
        | ObjectType::ObjectTablespace
        | ObjectType::ObjectFdw
        | ObjectType::ObjectForeignServer
        | ObjectType::ObjectPublication
        | ObjectType::ObjectSubscription
        | ObjectType::ObjectUserMapping => Effects::SERVER,
        _ => Effects::NONE,
    }
}

/// The leading keywords.
#[expect(clippy::too_many_lines, reason = "one line for each kind of statement")]
pub(super) fn kind(node: &NodeEnum) -> Kind {
    match node {
        NodeEnum::SelectStmt(s) if s.into_clause.is_some() => "SELECT INTO",
        NodeEnum::SelectStmt(s) if !s.values_lists.is_empty() => "VALUES",
        NodeEnum::SelectStmt(_) => "SELECT",
        NodeEnum::InsertStmt(_) => "INSERT",
        NodeEnum::UpdateStmt(_) => "UPDATE",
        NodeEnum::DeleteStmt(_) => "DELETE",
        NodeEnum::MergeStmt(_) => "MERGE",
        NodeEnum::CopyStmt(_) => "COPY",
        NodeEnum::CreateTableAsStmt(s) if s.objtype() == ObjectType::ObjectMatview => "CREATE MATERIALIZED VIEW",
        NodeEnum::CreateTableAsStmt(_) => "CREATE TABLE AS",
        NodeEnum::ExplainStmt(_) => "EXPLAIN",
        NodeEnum::VariableSetStmt(s) => match s.kind() {
            VariableSetKind::VarReset | VariableSetKind::VarResetAll => "RESET",
            _ => "SET",
        },
        NodeEnum::VariableShowStmt(_) => "SHOW",
        NodeEnum::DiscardStmt(s) => match s.target() {
            DiscardMode::DiscardAll => "DISCARD ALL",
            _ => "DISCARD",
        },
        NodeEnum::TransactionStmt(s) => match s.kind() {
            TransactionStmtKind::TransStmtBegin => "BEGIN",
            TransactionStmtKind::TransStmtStart => "START TRANSACTION",
            TransactionStmtKind::TransStmtCommit => "COMMIT",
            TransactionStmtKind::TransStmtRollback => "ROLLBACK",
            TransactionStmtKind::TransStmtSavepoint => "SAVEPOINT",
            TransactionStmtKind::TransStmtRelease => "RELEASE",
            TransactionStmtKind::TransStmtRollbackTo => "ROLLBACK TO",
            TransactionStmtKind::TransStmtPrepare => "PREPARE TRANSACTION",
            TransactionStmtKind::TransStmtCommitPrepared => "COMMIT PREPARED",
            TransactionStmtKind::TransStmtRollbackPrepared => "ROLLBACK PREPARED",
            TransactionStmtKind::Undefined => "UNKNOWN",
        },
        NodeEnum::ConstraintsSetStmt(_) => "SET CONSTRAINTS",
        NodeEnum::PrepareStmt(_) => "PREPARE",
        NodeEnum::ExecuteStmt(_) => "EXECUTE",
        NodeEnum::DeallocateStmt(_) => "DEALLOCATE",
        NodeEnum::DeclareCursorStmt(_) => "DECLARE CURSOR",
        NodeEnum::FetchStmt(s) if s.ismove => "MOVE",
        NodeEnum::FetchStmt(_) => "FETCH",
        NodeEnum::ClosePortalStmt(_) => "CLOSE",
        NodeEnum::ListenStmt(_) => "LISTEN",
        NodeEnum::UnlistenStmt(_) => "UNLISTEN",
        NodeEnum::NotifyStmt(_) => "NOTIFY",
        NodeEnum::LockStmt(_) => "LOCK TABLE",
        NodeEnum::DoStmt(_) => "DO",
        NodeEnum::CallStmt(_) => "CALL",
        NodeEnum::TruncateStmt(_) => "TRUNCATE",
        NodeEnum::DropStmt(s) => dropped_kind(s.remove_type()),
        NodeEnum::CreateStmt(_) => "CREATE TABLE",
        NodeEnum::CreateForeignTableStmt(_) => "CREATE FOREIGN TABLE",
        NodeEnum::CreateSchemaStmt(_) => "CREATE SCHEMA",
        NodeEnum::IndexStmt(_) => "CREATE INDEX",
        NodeEnum::CreateSeqStmt(_) => "CREATE SEQUENCE",
        NodeEnum::CreateStatsStmt(_) => "CREATE STATISTICS",
        NodeEnum::CompositeTypeStmt(_) | NodeEnum::CreateEnumStmt(_) | NodeEnum::CreateRangeStmt(_) => "CREATE TYPE",
        NodeEnum::DefineStmt(s) => match s.kind() {
            ObjectType::ObjectAggregate => "CREATE AGGREGATE",
            ObjectType::ObjectOperator => "CREATE OPERATOR",
            ObjectType::ObjectType => "CREATE TYPE",
            ObjectType::ObjectCollation => "CREATE COLLATION",
            _ => "CREATE TEXT SEARCH",
        },
        NodeEnum::ViewStmt(_) => "CREATE VIEW",
        NodeEnum::RuleStmt(_) => "CREATE RULE",
        NodeEnum::CreatePolicyStmt(_) => "CREATE POLICY",
        NodeEnum::AlterPolicyStmt(_) => "ALTER POLICY",
        NodeEnum::CreateFunctionStmt(s) if s.is_procedure => "CREATE PROCEDURE",
        NodeEnum::CreateFunctionStmt(_) => "CREATE FUNCTION",
        NodeEnum::CreateTrigStmt(_) => "CREATE TRIGGER",
        NodeEnum::CreateEventTrigStmt(_) => "CREATE EVENT TRIGGER",
        NodeEnum::CreateDomainStmt(_) => "CREATE DOMAIN",
        NodeEnum::CreateExtensionStmt(_) => "CREATE EXTENSION",
        NodeEnum::CreatePlangStmt(_) => "CREATE LANGUAGE",
        NodeEnum::CreateCastStmt(_) => "CREATE CAST",
        NodeEnum::CreateConversionStmt(_) => "CREATE CONVERSION",
        NodeEnum::CreateTransformStmt(_) => "CREATE TRANSFORM",
        NodeEnum::CreateOpClassStmt(_) => "CREATE OPERATOR CLASS",
        NodeEnum::CreateOpFamilyStmt(_) => "CREATE OPERATOR FAMILY",
        NodeEnum::CreateAmStmt(_) => "CREATE ACCESS METHOD",
        NodeEnum::AlterTableStmt(_) => "ALTER TABLE",
        NodeEnum::AlterSeqStmt(_) => "ALTER SEQUENCE",
        NodeEnum::CommentStmt(_) => "COMMENT",
        NodeEnum::SecLabelStmt(_) => "SECURITY LABEL",
        NodeEnum::AlterDomainStmt(_) => "ALTER DOMAIN",
        NodeEnum::AlterExtensionStmt(_) | NodeEnum::AlterExtensionContentsStmt(_) => "ALTER EXTENSION",
        NodeEnum::AlterFunctionStmt(_) => "ALTER FUNCTION",
        NodeEnum::AlterTypeStmt(_) | NodeEnum::AlterEnumStmt(_) => "ALTER TYPE",
        NodeEnum::RenameStmt(_)
        | NodeEnum::AlterObjectSchemaStmt(_)
        | NodeEnum::AlterOwnerStmt(_)
        | NodeEnum::AlterObjectDependsStmt(_)
        | NodeEnum::AlterCollationStmt(_)
        | NodeEnum::AlterOperatorStmt(_)
        | NodeEnum::AlterOpFamilyStmt(_)
        | NodeEnum::AlterStatsStmt(_)
        | NodeEnum::AlterEventTrigStmt(_)
        | NodeEnum::AlterTsdictionaryStmt(_)
        | NodeEnum::AlterTsconfigurationStmt(_)
        | NodeEnum::AlterTableMoveAllStmt(_) => "ALTER",
        NodeEnum::GrantStmt(s) if s.is_grant => "GRANT",
        NodeEnum::GrantRoleStmt(s) if s.is_grant => "GRANT",
        NodeEnum::GrantStmt(_) | NodeEnum::GrantRoleStmt(_) => "REVOKE",
        NodeEnum::AlterDefaultPrivilegesStmt(_) => "ALTER DEFAULT PRIVILEGES",
        NodeEnum::ReassignOwnedStmt(_) => "REASSIGN OWNED",
        NodeEnum::DropOwnedStmt(_) => "DROP OWNED",
        NodeEnum::CreateRoleStmt(_) => "CREATE ROLE",
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => "ALTER ROLE",
        NodeEnum::DropRoleStmt(_) => "DROP ROLE",
        NodeEnum::CreatedbStmt(_) => "CREATE DATABASE",
        NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseRefreshCollStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_) => "ALTER DATABASE",
        NodeEnum::DropdbStmt(_) => "DROP DATABASE",
        NodeEnum::AlterSystemStmt(_) => "ALTER SYSTEM",
        NodeEnum::CreateTableSpaceStmt(_) => "CREATE TABLESPACE",
        NodeEnum::AlterTableSpaceOptionsStmt(_) => "ALTER TABLESPACE",
        NodeEnum::DropTableSpaceStmt(_) => "DROP TABLESPACE",
        NodeEnum::CreateFdwStmt(_) => "CREATE FOREIGN DATA WRAPPER",
        NodeEnum::AlterFdwStmt(_) => "ALTER FOREIGN DATA WRAPPER",
        NodeEnum::CreateForeignServerStmt(_) => "CREATE SERVER",
        NodeEnum::AlterForeignServerStmt(_) => "ALTER SERVER",
        NodeEnum::CreateUserMappingStmt(_) => "CREATE USER MAPPING",
        NodeEnum::AlterUserMappingStmt(_) => "ALTER USER MAPPING",
        NodeEnum::DropUserMappingStmt(_) => "DROP USER MAPPING",
        NodeEnum::ImportForeignSchemaStmt(_) => "IMPORT FOREIGN SCHEMA",
        NodeEnum::CreatePublicationStmt(_) => "CREATE PUBLICATION",
        NodeEnum::AlterPublicationStmt(_) => "ALTER PUBLICATION",
        NodeEnum::CreateSubscriptionStmt(_) => "CREATE SUBSCRIPTION",
        NodeEnum::AlterSubscriptionStmt(_) => "ALTER SUBSCRIPTION",
        NodeEnum::DropSubscriptionStmt(_) => "DROP SUBSCRIPTION",
        NodeEnum::LoadStmt(_) => "LOAD",
        NodeEnum::VacuumStmt(s) if s.is_vacuumcmd => "VACUUM",
        NodeEnum::VacuumStmt(_) => "ANALYZE",
        NodeEnum::ClusterStmt(_) => "CLUSTER",
        NodeEnum::ReindexStmt(_) => "REINDEX",
        NodeEnum::RefreshMatViewStmt(_) => "REFRESH MATERIALIZED VIEW",
        NodeEnum::CheckPointStmt(_) => "CHECKPOINT",
        _ => "UNKNOWN",
    }
}

const fn dropped_kind(object: ObjectType) -> Kind {
    match object {
        ObjectType::ObjectTable => "DROP TABLE",
        ObjectType::ObjectView => "DROP VIEW",
        ObjectType::ObjectMatview => "DROP MATERIALIZED VIEW",
        ObjectType::ObjectIndex => "DROP INDEX",
        ObjectType::ObjectSequence => "DROP SEQUENCE",
        ObjectType::ObjectSchema => "DROP SCHEMA",
        ObjectType::ObjectForeignTable => "DROP FOREIGN TABLE",
        ObjectType::ObjectFunction | ObjectType::ObjectRoutine => "DROP FUNCTION",
        ObjectType::ObjectProcedure => "DROP PROCEDURE",
        ObjectType::ObjectType => "DROP TYPE",
        ObjectType::ObjectDomain => "DROP DOMAIN",
        ObjectType::ObjectTrigger => "DROP TRIGGER",
        ObjectType::ObjectPolicy => "DROP POLICY",
        ObjectType::ObjectRule => "DROP RULE",
        ObjectType::ObjectExtension => "DROP EXTENSION",
        ObjectType::ObjectPublication => "DROP PUBLICATION",
        _ => "DROP",
    }
}
