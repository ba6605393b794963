//! epoll: under construction.
