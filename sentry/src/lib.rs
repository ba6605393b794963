//! sentry: under construction.
