//! Reads: by keys, a page of a partition in order, a page of the whole table.
//!
//! A page is read from the statement row by row: what an index narrows is in order already, so nothing is sorted, and
//! what is counted alone costs one step of the index. Of a row that is looked into, nothing else is read before it is
//! known to be wanted; a name is looked for in the index by name, without the row.

use std::fmt::Write as _;

use rusqlite::{Connection, Row, params, params_from_iter, types::ValueRef};
use store::{
    Item, Key,
    backend::{Page, Position, Query, ReadOut},
    query::{Direction, Range, Wanted},
    sought::Seeker,
    table::{Index, PARTITION, Projection, SORT},
};

use crate::{
    SqliteError,
    index::{self, Keys},
    item,
};

/// After how many bytes a page ends before its limit, as DynamoDB's do: a reader holds no more than that.
const LARGEST_PAGE: usize = 1024 * 1024;

/// Where the row of the last item is noted in a [`Position`], beside what it is sorted by.
const ROW: &str = "row";

/// Returns what a query of `range` reads out of an item.
///
/// An entry leads to the item's row anyway, for its key, and the whole record is there.
pub(crate) fn carried(range: &Range) -> Projection {
    match (range.index.map(Index::projection), range.wanted) {
        (Some(_), Wanted::Orders) => Projection::Orders,
        (None, Wanted::Heads) => Projection::Head,
        (Some(projection @ (Projection::Head | Projection::Orders)), Wanted::Declared) => projection,
        _ => Projection::All,
    }
}

/// Reads the items under `keys`, without missing ones.
pub(crate) fn get(connection: &Connection, keys: &[&Key]) -> Result<Vec<Item>, SqliteError> {
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.extend(item::find(connection, key)?.map(|stored| stored.item));
    }
    Ok(found)
}

/// A query as it is asked of SQLite; it borrows nothing, so that another thread can carry it out.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    partition: String,
    range: Range,
    index: Option<Index>,
    from: Option<String>,
    to: Option<String>,
    is_ascending: bool,
    read_out: ReadOut,
    limit: usize,
    start: Option<Start>,
    projection: Projection,
}

/// Where the page before ended.
#[derive(Clone, Debug)]
struct Start {
    sort: String,
    row: i64,
}

impl Plan {
    /// Takes a query over.
    pub(crate) fn of(query: &Query<'_>) -> Result<Self, SqliteError> {
        let Query { range, partition, read_out, limit, start } = query;
        let sort = range.index.map_or_else(|| SORT.to_owned(), Index::sort);
        let start = start.as_ref().map(|position| {
            let sort = position.get(&sort).cloned();
            Some(Start { sort: sort?, row: row_of(position)? })
        });
        let unknown = || SqliteError::Malformed("a page can't begin where none has ended".into());
        Ok(Self {
            partition: (*partition).to_owned(),
            // The other partitions are of no use here.
            range: Range { partitions: Vec::new(), ..(*range).clone() },
            index: range.index,
            from: range.from.clone(),
            to: range.last(),
            is_ascending: range.direction == Direction::Ascending,
            read_out: *read_out,
            limit: (*limit).max(1),
            start: start.map(|start| start.ok_or_else(unknown)).transpose()?,
            projection: carried(range),
        })
    }

    /// Returns how many items are looked at, at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Reads the page.
    pub(crate) fn read(&self, connection: &Connection) -> Result<Page, SqliteError> {
        let seeker = Seeker::of(&self.range);
        let columns = Columns::of(self, &seeker);
        let (statement, parameters) = self.statement(columns);
        let mut statement = connection.prepare_cached(&statement)?;
        let mut rows = statement.query(params_from_iter(parameters.iter()))?;
        let (mut page, mut bytes) = (Page::default(), 0);
        let sort = self.index.and_then(index::declared).map_or(SORT, |declared| declared.sort.as_str());
        while let Some(row) = rows.next()? {
            page.looked_at += 1;
            if columns.of_wanted {
                if self.is_wanted(connection, &seeker, row)? {
                    page.count += 1;
                    bytes += self.read_wanted(connection, columns, row, sort, &mut page)?;
                }
            } else {
                page.count += 1;
                if self.read_out != ReadOut::Nothing {
                    bytes += Columns::bytes(row)?;
                    page.items.push(match self.read_out {
                        ReadOut::Briefs => brief(row)?,
                        _ => self.item(row, columns, sort, text(row, 0)?.unwrap_or_default())?,
                    });
                }
            }
            if page.looked_at >= self.limit || bytes >= LARGEST_PAGE {
                let last = position(sort, row)?;
                page.next = rows.next()?.is_some().then_some(last);
                break;
            }
        }
        Ok(page)
    }

    /// Says whether the item of a row that is looked into has what is sought.
    fn is_wanted(&self, connection: &Connection, seeker: &Seeker<'_>, row: &Row<'_>) -> Result<bool, SqliteError> {
        let brief = if seeker.seeks_in_brief() { text(row, Columns::BRIEF)? } else { None };
        if brief.is_some_and(|brief| !seeker.finds_in_brief(brief)) {
            return Ok(false);
        }
        let head = row.get_ref(Columns::HEAD)?.as_bytes_or_null().map_err(rusqlite::Error::from)?;
        if let Some(head) = head {
            return Ok(seeker.finds_in_head(head));
        }
        if !self.looks_at_names(seeker) {
            return Ok(!seeker.seeks_in_head());
        }
        if let Some(found) = seeker.finds_in_name(text(row, 0)?.unwrap_or_default()) {
            return Ok(found);
        }
        let mut statement = connection.prepare_cached("SELECT head FROM items WHERE id = ?1")?;
        let head: Option<String> = statement.query_row([row.get::<_, i64>(1)?], |row| row.get(0))?;
        Ok(head.is_some_and(|head| seeker.finds_in_head(head.as_bytes())))
    }

    /// Says whether the sort keys are the names that are looked for, so that it takes nothing else of most items.
    fn looks_at_names(&self, seeker: &Seeker<'_>) -> bool {
        self.index == Some(Index::ByName) && !seeker.seeks_more_than_a_name()
    }

    /// Reads out the item of a row that is wanted; returns how many bytes that are.
    ///
    /// All columns of a row are read before it can be turned down, so most are read of the wanted ones alone.
    fn read_wanted(
        &self,
        connection: &Connection,
        columns: Columns,
        row: &Row<'_>,
        sort: &str,
        page: &mut Page,
    ) -> Result<usize, SqliteError> {
        match self.read_out {
            ReadOut::Nothing => return Ok(0),
            ReadOut::Briefs => {
                page.items.push(brief(row)?);
                return Columns::bytes(row);
            }
            ReadOut::Items => {}
        }
        let mut sql = "SELECT NULL, NULL".to_owned();
        columns.name_wanted(&mut sql);
        sql.push_str(" FROM items it WHERE it.id = ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([row.get::<_, i64>(1)?])?;
        let Some(found) = rows.next()? else { return Ok(0) };
        page.items.push(self.item(found, columns, sort, text(row, 0)?.unwrap_or_default())?);
        Columns::bytes(found)
    }

    /// Writes the statement, and returns what is bound in it.
    fn statement(&self, columns: Columns) -> (String, Vec<Parameter<'_>>) {
        let (partition, sort, row) =
            if self.index.is_some() { ("e.p", "e.s", "e.item") } else { ("it.pk", "it.sk", "it.id") };
        let mut sql = format!("SELECT {sort}, {row}");
        let is_of_item = columns.name(&mut sql);
        let mut parameters = Vec::with_capacity(6);
        // Written to a String, which takes everything.
        let mut bind = |sql: &mut String, condition: &str, parameter| {
            parameters.push(parameter);
            let _ = write!(sql, " {condition} ?{}", parameters.len());
        };
        if let Some(index) = self.index {
            let join = if is_of_item { " CROSS JOIN items it ON it.id = e.item" } else { "" };
            let _ = write!(sql, " FROM index_entries e{join} WHERE");
            bind(&mut sql, "e.i =", Parameter::Number(index::number(index)));
            sql.push_str(" AND");
        } else {
            sql.push_str(" FROM items it WHERE");
        }
        bind(&mut sql, &format!("{partition} ="), Parameter::Text(&self.partition));
        // SQLite seeks by one bound at each end, so the start of a page stands for that end of the range.
        let is_within = |start: &&Start| {
            if self.is_ascending {
                self.from.as_ref().is_none_or(|from| *from <= start.sort)
            } else {
                self.to.as_ref().is_none_or(|to| start.sort <= *to)
            }
        };
        let start = self.start.as_ref().filter(is_within);
        let (mut from, mut to) = (self.from.as_ref(), self.to.as_ref());
        if let Some(start) = start {
            let comparison = if self.is_ascending { ">" } else { "<" };
            if self.index.is_some() {
                bind(&mut sql, &format!("AND ({sort}, {row}) {comparison} ("), Parameter::Text(&start.sort));
                bind(&mut sql, ",", Parameter::Number(start.row));
                sql.push(')');
            } else {
                bind(&mut sql, &format!("AND {sort} {comparison}"), Parameter::Text(&start.sort));
            }
            *(if self.is_ascending { &mut from } else { &mut to }) = None;
        }
        if let Some(from) = from {
            bind(&mut sql, &format!("AND {sort} >="), Parameter::Text(from));
        }
        if let Some(to) = to {
            bind(&mut sql, &format!("AND {sort} <="), Parameter::Text(to));
        }
        let order = if self.is_ascending { "ASC" } else { "DESC" };
        let _ = write!(sql, " ORDER BY {sort} {order}");
        if self.index.is_some() {
            let _ = write!(sql, ", {row} {order}");
        }
        (sql, parameters)
    }

    fn item(&self, row: &Row<'_>, columns: Columns, sort: &str, sorted_by: &str) -> Result<Item, SqliteError> {
        let owned = |column| text(row, column).map(|text| text.map(ToOwned::to_owned));
        let sorted_by = sorted_by.to_owned();
        let (key, index_keys) = if self.index.is_none() {
            (Key { pk: self.partition.clone(), sk: sorted_by }, Keys::new())
        } else {
            let mut carried =
                if columns.orders { item::some_keys(text(row, Columns::KEYS)?, index::is_order)? } else { Keys::new() };
            carried.insert(sort.to_owned(), sorted_by);
            (Key { pk: row.get(Columns::PK)?, sk: row.get(Columns::SK)? }, carried)
        };
        Ok(Item {
            key,
            version: row.get::<_, Option<i64>>(Columns::VERSION)?.map(item::version).unwrap_or_default(),
            announced: None,
            head: if columns.head { owned(Columns::HEAD)? } else { None },
            tail: owned(Columns::TAIL)?,
            brief: if columns.brief { owned(Columns::BRIEF)? } else { None },
            expires: None,
            index_keys,
        })
    }
}

/// What is bound in a statement.
#[derive(Clone, Copy, Debug)]
enum Parameter<'p> {
    Text(&'p str),
    Number(i64),
}

impl rusqlite::ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Number(number) => number.to_sql(),
        }
    }
}

/// Which columns a query reads: what its index carries, as far as it is read out or looked into.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each column is read or not, whatever the others are")]
struct Columns {
    key: bool,
    version: bool,
    head: bool,
    tail: bool,
    brief: bool,
    orders: bool,
    /// Whether the columns are read of those items alone that are wanted, after what is looked into.
    of_wanted: bool,
    /// Whether `head` is looked into.
    head_first: bool,
    /// Whether `brief` is looked into, or all that is read out, which is short.
    brief_first: bool,
}

impl Columns {
    const PK: usize = 2;
    const SK: usize = 3;
    const VERSION: usize = 4;
    const BRIEF: usize = 5;
    const KEYS: usize = 6;
    const HEAD: usize = 7;
    const TAIL: usize = 8;

    fn of(plan: &Plan, seeker: &Seeker<'_>) -> Self {
        let is_read = plan.read_out == ReadOut::Items;
        let projection = Some(plan.projection).filter(|carried| plan.index.is_some() || *carried != Projection::All);
        let carries = |those: &[Projection]| projection.is_none_or(|projection| those.contains(&projection));
        let carries_head = carries(&[Projection::All, Projection::Head]);
        Self {
            key: is_read && plan.index.is_some(),
            version: is_read && carries_head,
            head: is_read && carries_head,
            tail: is_read && carries(&[Projection::All]),
            brief: match plan.read_out {
                ReadOut::Items => projection == Some(Projection::Head),
                ReadOut::Briefs => true,
                ReadOut::Nothing => false,
            },
            orders: is_read && projection == Some(Projection::Orders),
            of_wanted: seeker.seeks(),
            head_first: seeker.seeks_in_head() && !plan.looks_at_names(seeker),
            brief_first: seeker.seeks_in_brief() || plan.read_out == ReadOut::Briefs,
        }
    }

    /// Names the columns behind those of the index; what is not read is null.
    ///
    /// Says whether any of them is one of the item's row.
    fn name(self, sql: &mut String) -> bool {
        if !self.of_wanted {
            return self.name_wanted(sql);
        }
        Self { head: self.head_first, brief: self.brief_first, ..Self::default() }.name_wanted(sql)
    }

    /// Names the columns that are read of an item that is wanted, as [`Self::name`] does.
    fn name_wanted(self, sql: &mut String) -> bool {
        let columns = [
            (self.key, "it.pk"),
            (self.key, "it.sk"),
            (self.version, "it.version"),
            (self.brief, "it.brief"),
            (self.orders, "it.keys"),
            (self.head, "it.head"),
            (self.tail, "it.tail"),
        ];
        for (is_read, name) in columns {
            sql.push_str(", ");
            sql.push_str(if is_read { name } else { "NULL" });
        }
        columns.iter().any(|(is_read, _)| *is_read)
    }

    /// Returns how many bytes are read of a row.
    fn bytes(row: &Row<'_>) -> Result<usize, SqliteError> {
        let mut bytes = 0;
        for column in [Self::BRIEF, Self::KEYS, Self::HEAD, Self::TAIL] {
            if let ValueRef::Text(text) = row.get_ref(column)? {
                bytes += text.len();
            }
        }
        Ok(bytes)
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, SqliteError> {
    Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
}

fn brief(row: &Row<'_>) -> Result<Item, SqliteError> {
    let key = Key { pk: String::new(), sk: String::new() };
    let brief = row.get::<_, Option<String>>(Columns::BRIEF)?;
    Ok(Item { brief, ..Item::under(key) })
}

fn position(sort: &str, row: &Row<'_>) -> Result<Position, SqliteError> {
    let (sorted_by, number): (String, i64) = (row.get(0)?, row.get(1)?);
    Ok(Position::from([(sort.to_owned(), sorted_by), (ROW.to_owned(), number.to_string())]))
}

fn row_of(position: &Position) -> Option<i64> {
    position.get(ROW)?.parse().ok()
}

/// Reads the next items of the whole table in the order of their rows, `limit` at most.
pub(crate) fn walk(connection: &Connection, start: Option<&Position>, limit: usize) -> Result<Page, SqliteError> {
    let after = start.and_then(row_of).unwrap_or(i64::MIN);
    let mut statement = connection.prepare_cached(
        "SELECT id, pk, sk, version, announced, expires, brief, keys, head, tail FROM items WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = statement.query(params![after])?;
    let (mut page, mut bytes) = (Page::default(), 0);
    while let Some(row) = rows.next()? {
        let key = Key { pk: row.get(1)?, sk: row.get(2)? };
        let number: i64 = row.get(0)?;
        let found = item::read(row, 3, key)?;
        bytes += item::size(&found);
        let position = [(PARTITION, found.key.pk.clone()), (SORT, found.key.sk.clone()), (ROW, number.to_string())];
        page.items.push(found);
        page.looked_at += 1;
        page.count += 1;
        if page.looked_at >= limit.max(1) || bytes >= LARGEST_PAGE {
            let last = position.map(|(name, value)| (name.to_owned(), value));
            page.next = rows.next()?.is_some().then(|| last.into());
            break;
        }
    }
    Ok(page)
}

/// Counts the items of the table.
pub(crate) fn count(connection: &Connection) -> Result<u64, SqliteError> {
    let count = connection.query_row("SELECT count(*) FROM items", [], |row| row.get::<_, i64>(0))?;
    Ok(item::version(count))
}

#[cfg(test)]
mod tests {
    use store::{query::Range, sought::Sought};

    use super::*;
    use crate::Database;

    /// Returns how SQLite goes about `statement`.
    fn plan(connection: &Connection, statement: &str) -> String {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        for parameter in 1..=explained.parameter_count() {
            explained.raw_bind_parameter(parameter, 1).unwrap();
        }
        let (mut rows, mut steps) = (explained.raw_query(), Vec::new());
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get::<_, String>(3).unwrap());
        }
        steps.join("; ")
    }

    #[test]
    fn no_query_scans_or_sorts() {
        let database = Database::in_memory().unwrap();
        let bounds = [None, Some("a".to_owned())];
        let start = || Some(Position::from([("sk", "b"), (ROW, "3")].map(|(name, text)| (name.into(), text.into()))));
        let mut statements = std::collections::BTreeSet::new();
        for index in Index::ALL.into_iter().map(Some).chain([None]) {
            let range = index.map_or_else(|| Range::partition("p"), |index| Range::of_index(index, "p"));
            for (from, to) in bounds.iter().flat_map(|from| bounds.iter().map(move |to| (from, to))) {
                let (nothing, expected) = (Sought::default(), Some((1, 2)));
                for (direction, texts, sought) in [
                    (Direction::Ascending, vec![], nothing.clone()),
                    (Direction::Descending, vec![], nothing.clone()),
                    (Direction::Ascending, vec![vec!["text".to_owned()]], nothing),
                    (Direction::Ascending, vec![], Sought { expected, ..Sought::default() }),
                    (Direction::Ascending, vec![], Sought { term: Some("x".into()), ..Sought::default() }),
                ] {
                    let range = range.clone().between(from.clone(), to.clone()).in_direction(direction);
                    let range = range.containing(texts).seeking(sought);
                    for read_out in [ReadOut::Items, ReadOut::Briefs, ReadOut::Nothing] {
                        for is_first in [true, false] {
                            let mut position = start().filter(|_| !is_first);
                            if let (Some(position), Some(index)) = (&mut position, index) {
                                position.insert(index.sort(), "b".into());
                            }
                            let query = Query { range: &range, partition: "p", read_out, limit: 10, start: position };
                            let plan = Plan::of(&query).unwrap();
                            let columns = Columns::of(&plan, &Seeker::of(&plan.range));
                            statements.insert(plan.statement(columns).0);
                        }
                    }
                }
            }
        }
        let held = database.0.writer.hold();
        for statement in &statements {
            let plan = plan(&held, statement);
            assert!(
                plan.contains("SEARCH") && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                "{statement}: {plan}"
            );
            // It seeks by the sort key where one is given.
            let is_bounded = statement.contains(['<', '>']);
            assert_eq!(plan.contains(['<', '>']), is_bounded, "{statement}: {plan}");
        }
        assert!(statements.len() <= 150, "{} statements are kept prepared", statements.len());
    }

    #[test]
    fn what_expires_is_found_by_its_time() {
        let database = Database::in_memory().unwrap();
        let statement =
            "SELECT pk, sk FROM items WHERE expires >= 0 AND expires < unixepoch() ORDER BY expires LIMIT ?1";
        let plan = plan(&database.0.writer.hold(), statement);
        assert!(plan.contains("items_by_expiry") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
