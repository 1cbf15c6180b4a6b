//! SAML responses, by a strict subset.
