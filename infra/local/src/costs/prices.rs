//! List prices in US dollars: us-east-1, arm64, without free tiers. `docs/operations.md`, section Cost,
//! reckons with the same and says where each was read.

/// What one of something costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    /// What is counted.
    pub(super) unit: &'static str,
    /// Dollars for one.
    pub(super) usd: f64,
}

/// Dollars of a million.
const fn per_million(unit: &'static str, usd: f64) -> Price {
    Price { unit, usd: usd / 1e6 }
}

/// Dollars of a gigabyte: AWS means 2³⁰ bytes.
const fn per_gigabyte(unit: &'static str, usd: f64) -> Price {
    Price { unit, usd: usd / GIGABYTE }
}

/// Bytes of a gigabyte, as AWS has it.
pub(super) const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// Invocations of any function (lambda-13-cost.md at git.mcrn.ar, May 2026).
pub(super) const LAMBDA_REQUEST: Price = per_million("requests", 0.20);

/// Memory of a function for as long as it runs, arm64 (the same page).
pub(super) const LAMBDA_GB_SECOND: Price = Price { unit: "GB-s", usd: 0.000_013_333_4 };

/// Write units of a table on demand (airbyte.com, July 2025, after AWS's cut of November 2024).
pub(super) const DYNAMODB_WRITE: Price = per_million("write units", 0.625);

/// Read units of a table on demand (the same page).
pub(super) const DYNAMODB_READ: Price = per_million("read units", 0.125);

/// Messages of a WebSocket API in steps of 32 KB, of the first billion a month (amnic.com; aws.amazon.com/api-gateway/pricing for the 32 KB).
pub(super) const SOCKET_MESSAGE: Price = per_million("messages", 1.00);

/// Minutes for which connections are open (the same pages).
pub(super) const SOCKET_MINUTE: Price = per_million("minutes", 0.25);

/// Requests to an HTTP API in steps of 512 KB, of the first 300 million a month (the same pages).
pub(super) const HTTP_REQUEST: Price = per_million("requests", 1.00);

/// Transfer to the internet, of the first 10 TB a month (amnic.com). 100 GB a month are free, which is left out of account.
pub(super) const TRANSFER: Price = per_gigabyte("bytes", 0.09);

/// Logs taken in (signoz.io, February 2026).
pub(super) const LOGS: Price = per_gigabyte("bytes", 0.50);
