//! Numbered pages, as the contract's `paginate` operations answer them.

use serde::{Deserialize, Serialize};

use store::select::Window;

/// Which page a request asks for.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PageNumber {
    /// How many records a page holds.
    pub limit: usize,
    /// The page, from 1.
    pub page: usize,
}

impl PageNumber {
    /// Returns the page's part of all records.
    pub fn window(self) -> Window {
        Window { offset: self.page.saturating_sub(1).saturating_mul(self.limit), limit: self.limit }
    }

    /// Returns the page with its records, of `count` in all.
    pub fn of<R>(self, results: Vec<R>, count: u64) -> Page<R> {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let pages = if limit == 0 { 0 } else { count.div_ceil(limit) };
        Page { results, count, limit, pages, page: self.page }
    }
}

/// A page (contract schemas `FlowRunPaginationResponse` and its like).
#[derive(Clone, Debug, Serialize)]
pub struct Page<R> {
    /// The page's records.
    pub results: Vec<R>,
    /// How many records there are in all.
    pub count: u64,
    /// How many records a page holds.
    pub limit: u64,
    /// How many pages there are.
    pub pages: u64,
    /// The page's number, from 1.
    pub page: usize,
}
