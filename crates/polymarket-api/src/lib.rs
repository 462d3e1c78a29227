//! A client for Polymarket.
