//! PostgreSQL's built-in types by OID (catalog `pg_type`), as far as redactions know them, and what holds what.
//!
//! Invariant: these numbers are fixed for all servers; an OID that is not listed is a type of somebody's own, or one whose
//! values nothing is known of. Deliberately absent: types of extensions, whose OIDs differ from database to database.

/// Type OIDs that redactions know.
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const XML: u32 = 142;
    pub(crate) const CIDR: u32 = 650;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const UNKNOWN: u32 = 705;
    pub(crate) const MACADDR8: u32 = 774;
    pub(crate) const MACADDR: u32 = 829;
    pub(crate) const INET: u32 = 869;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIME: u32 = 1083;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const INTERVAL: u32 = 1186;
    pub(crate) const TIMETZ: u32 = 1266;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const CSTRING: u32 = 2275;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const JSONB: u32 = 3802;
    /// `text[]`.
    pub(crate) const TEXT_ARRAY: u32 = 1009;
}

/// Array types and the types of their elements.
const ARRAYS: [(u32, u32); 31] = [
    (143, oid::XML),
    (199, oid::JSON),
    (651, oid::CIDR),
    (775, oid::MACADDR8),
    (1000, oid::BOOL),
    (1001, oid::BYTEA),
    (1002, oid::CHAR),
    (1003, oid::NAME),
    (1005, oid::INT2),
    (1007, oid::INT4),
    (oid::TEXT_ARRAY, oid::TEXT),
    (1014, oid::BPCHAR),
    (1015, oid::VARCHAR),
    (1016, oid::INT8),
    (1021, oid::FLOAT4),
    (1022, oid::FLOAT8),
    (1040, oid::MACADDR),
    (1041, oid::INET),
    (1115, oid::TIMESTAMP),
    (1182, oid::DATE),
    (1183, oid::TIME),
    (1185, oid::TIMESTAMPTZ),
    (1187, oid::INTERVAL),
    (1231, oid::NUMERIC),
    (1263, oid::CSTRING),
    (1270, oid::TIMETZ),
    (2951, oid::UUID),
    (3807, oid::JSONB),
    (3905, 3904),
    (3913, 3912),
    (6155, 4535),
];

/// Type of the elements of an array type.
pub(crate) fn element_of(type_oid: u32) -> Option<u32> {
    ARRAYS.iter().find(|(array, _)| *array == type_oid).map(|(_, element)| *element)
}

/// `int4range`, `numrange`, `tsrange`, `tstzrange`, `daterange`, `int8range`.
pub(crate) const fn is_range(type_oid: u32) -> bool {
    matches!(type_oid, 3904 | 3906 | 3908 | 3910 | 3912 | 3926)
}

/// The multirange types of those.
pub(crate) const fn is_multirange(type_oid: u32) -> bool {
    matches!(type_oid, 4451 | 4532..=4536)
}
