//! timerfd: under construction.
