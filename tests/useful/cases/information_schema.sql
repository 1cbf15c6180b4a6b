--# information-schema/tables
select table_schema, table_name, table_type from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2;

--# information-schema/columns
select table_schema, table_name, column_name, ordinal_position, is_nullable, data_type, character_maximum_length, numeric_precision, column_default
  from information_schema.columns where table_schema in ('clinic', 'stock', 'billing') order by 1, 2, 4;

--# information-schema/schemata
select schema_name, schema_owner from information_schema.schemata order by 1;

--# information-schema/keys
select tc.table_schema, tc.table_name, tc.constraint_name, tc.constraint_type, kcu.column_name, kcu.ordinal_position
  from information_schema.table_constraints tc join information_schema.key_column_usage kcu using (constraint_schema, constraint_name) where tc.table_schema = 'workbench' order by 3, 6;

--# information-schema/views
select table_schema, table_name, is_updatable from information_schema.views where table_schema = 'reporting' order by 2;

--# information-schema/routines
select routine_schema, routine_name, data_type from information_schema.routines where routine_schema = 'stock';

--# information-schema/referential-constraints
select constraint_name, unique_constraint_name, update_rule, delete_rule from information_schema.referential_constraints order by 1;

--# information-schema/privileges
select grantee, table_schema, table_name, privilege_type from information_schema.table_privileges where table_schema = 'stock' order by 1, 2, 3, 4;

--# information-schema/table-exists
--@ args stock|items
select exists (select from information_schema.tables where table_schema = $1 and table_name = $2);
