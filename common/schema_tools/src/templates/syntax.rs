//! Whether a template is one, in Jinja's words where it is not.
//!
//! What Jinja's parser accepts and how it words a refusal is what Prefect answers when templates are checked: in forms, in
//! automations and by `/templates/validate`. Nothing is made of a template here, so that no tree of it is kept.

use budget::{Bound, Exceeded};
use domain::python;

use super::lexer::{Fault, Kind, Token, Tokens, is_space};

/// How many for loops a template has, and how many within each other.
const MOST_LOOPS: usize = 10;
const DEEPEST_LOOP: usize = 2;

/// How many expressions and blocks may lie within each other; Python, in which Prefect parses, bears about eighty.
const DEEPEST: usize = 250;

/// Checks that `template` is one and has no more loops than Prefect allows.
///
/// # Errors
/// [`Exceeded`] if it nests too deeply to be checked; within, what is wrong with the template.
pub(super) fn check(template: &str) -> Result<Result<(), Fault>, Exceeded> {
    let tokens = match Tokens::of(template) {
        Ok(tokens) => tokens,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut parser = Parser { tokens, tags: Vec::new(), ends: Vec::new(), depth: 0, loops: Loops::default() };
    match parser.body(None) {
        Ok(_) => Ok(parser.loops.check()),
        Err(Stop::Fault(fault)) => Ok(Err(fault)),
        Err(Stop::Exceeded(exceeded)) => Err(exceeded),
    }
}

/// Why a template is not read on.
enum Stop {
    Fault(Fault),
    Exceeded(Exceeded),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

type Parsed<T> = Result<T, Stop>;

/// The for loops of a template.
#[derive(Default)]
struct Loops {
    count: usize,
    depth: usize,
    deepest: usize,
}

impl Loops {
    fn check(&self) -> Result<(), Fault> {
        let Self { count, deepest, .. } = self;
        if *count > MOST_LOOPS {
            let message =
                format!("Contains {count} for loops. Templates can contain no more than {MOST_LOOPS} for loops.");
            return Err(Fault::new(0, message));
        }
        if *deepest > DEEPEST_LOOP {
            let message = format!(
                "Contains nested for loops at a depth of {deepest}. Templates can nest for loops no more than \
                 {DEEPEST_LOOP} loops deep."
            );
            return Err(Fault::new(0, message));
        }
        Ok(())
    }
}

/// What an expression is, as far as it matters: what Jinja calls it, where it is, and whether it can be assigned to.
#[derive(Clone, Copy)]
struct Node {
    kind: &'static str,
    line: usize,
    is_assignable: bool,
}

impl Node {
    fn new(kind: &'static str, line: usize) -> Self {
        Self { kind, line, is_assignable: false }
    }
}

/// What ends a tuple, besides the end of a tag or a bracket.
type EndRule = Option<&'static str>;

/// The names that end a part of a block.
type Ends = &'static [&'static str];

struct Parser {
    tokens: Tokens,
    /// The tags whose blocks are open.
    tags: Vec<String>,
    /// The tags that the open parts of blocks end with.
    ends: Vec<Ends>,
    depth: usize,
    loops: Loops,
}

impl Parser {
    fn current(&self) -> &Token {
        &self.tokens.current
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.current().kind, Kind::Sign(current) if current == sign)
    }

    fn fail<T>(line: usize, message: impl Into<String>) -> Parsed<T> {
        Err(Fault::new(line, message).into())
    }

    fn fail_here<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Self::fail(self.current().line, message)
    }

    fn skip_sign(&mut self, sign: &str) -> Parsed<bool> {
        let is_there = self.is_sign(sign);
        if is_there {
            self.tokens.advance()?;
        }
        Ok(is_there)
    }

    fn skip_name(&mut self, name: &str) -> Parsed<bool> {
        let is_there = self.current().is_name(name);
        if is_there {
            self.tokens.advance()?;
        }
        Ok(is_there)
    }

    /// Takes the current token if it fits, and else says that `wanted` is expected.
    fn expect(&mut self, fits: bool, wanted: &str) -> Parsed<Token> {
        if fits {
            return Ok(self.tokens.advance()?);
        }
        let wanted = python::repr_str(wanted);
        let current = self.current();
        if current.kind == Kind::End {
            return self.fail_here(format!("unexpected end of template, expected {wanted}."));
        }
        let got = python::repr_str(&current.described());
        self.fail_here(format!("expected token {wanted}, got {got}"))
    }

    fn expect_kind(&mut self, kind: Kind) -> Parsed<Token> {
        self.expect(self.current().kind == kind, kind.described())
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<Token> {
        self.expect(self.is_sign(sign), sign)
    }

    fn expect_name(&mut self, name: &str) -> Parsed<Token> {
        self.expect(self.current().is_name(name), name)
    }

    /// Parses something that lies within what is being parsed.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return Err(Stop::Exceeded(Exceeded(Bound::TemplateNesting)));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Parses a body up to one of the tags `ends`, or to the end; tells whether there is nothing but spaces in it.
    fn body(&mut self, ends: Option<Ends>) -> Parsed<bool> {
        self.ends.extend(ends);
        let is_blank = self.deeper(|parser| parser.parts(ends))?;
        if ends.is_some() {
            self.ends.pop();
        }
        Ok(is_blank)
    }

    fn parts(&mut self, ends: Option<Ends>) -> Parsed<bool> {
        let mut is_blank = true;
        loop {
            match self.current().kind {
                Kind::Data => {
                    is_blank &= self.current().value.chars().all(is_space);
                    self.tokens.advance()?;
                }
                Kind::VariableBegin => {
                    is_blank = false;
                    self.tokens.advance()?;
                    self.tuple(true, None, false)?;
                    self.expect_kind(Kind::VariableEnd)?;
                }
                Kind::BlockBegin => {
                    self.tokens.advance()?;
                    let current = self.current();
                    if ends.is_some_and(|ends| ends.iter().any(|end| current.is_name(end))) {
                        return Ok(is_blank);
                    }
                    is_blank = false;
                    self.statement()?;
                    self.expect_kind(Kind::BlockEnd)?;
                }
                _ => return Ok(is_blank),
            }
        }
    }

    fn statement(&mut self) -> Parsed<()> {
        let token = self.current().clone();
        if token.kind != Kind::Name {
            return Self::fail(token.line, "tag name expected");
        }
        let parse: fn(&mut Self) -> Parsed<()> = match token.value.as_str() {
            "for" => Self::for_loop,
            "if" => Self::condition,
            "block" => Self::named_block,
            "extends" => Self::extends,
            "print" => Self::print,
            "macro" => Self::macro_block,
            "include" => Self::include,
            "from" => Self::import_of_names,
            "import" => Self::import,
            "set" => Self::set,
            "with" => Self::with,
            "autoescape" => Self::autoescape,
            "call" => Self::call_block,
            "filter" => Self::filter_block,
            name => return self.fail_unended(Some(name), None, token.line),
        };
        self.tags.push(token.value);
        parse(self)?;
        self.tags.pop();
        Ok(())
    }

    /// Fails at an unknown tag, or at the end of the template where `wanted` is to be.
    fn fail_unended<T>(&self, name: Option<&str>, wanted: Option<Ends>, line: usize) -> Parsed<T> {
        let ends: Vec<Ends> = self.ends.iter().copied().chain(wanted).collect();
        let mut message = vec![name.map_or_else(
            || "Unexpected end of template.".to_owned(),
            |name| format!("Encountered unknown tag {}.", python::repr_str(name)),
        )];
        if let Some(last) = ends.last() {
            let looking = last.iter().map(|end| python::repr_str(end)).collect::<Vec<_>>().join(" or ");
            message.push(if name.is_some_and(|name| ends.iter().any(|ends| ends.contains(&name))) {
                format!(
                    "You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for \
                     {looking}."
                )
            } else {
                format!("Jinja was looking for the following tags: {looking}.")
            });
        }
        if let Some(tag) = self.tags.last() {
            let tag = python::repr_str(tag);
            message.push(format!("The innermost block that needs to be closed is {tag}."));
        }
        Self::fail(line, message.join(" "))
    }

    /// Parses the rest of a tag and the body after it, up to one of the tags `ends`, which is current then.
    fn statements(&mut self, ends: Ends) -> Parsed<bool> {
        self.skip_sign(":")?;
        self.expect_kind(Kind::BlockEnd)?;
        let is_blank = self.body(Some(ends))?;
        if self.current().kind == Kind::End {
            return self.fail_unended(None, Some(ends), self.current().line);
        }
        Ok(is_blank)
    }

    /// Parses the rest of a tag and the body after it, with the tag that ends it.
    fn statements_to(&mut self, end: Ends) -> Parsed<bool> {
        let is_blank = self.statements(end)?;
        self.tokens.advance()?;
        Ok(is_blank)
    }

    fn set(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.target(None, true)?;
        if self.skip_sign("=")? {
            self.tuple(true, None, false)?;
            return Ok(());
        }
        self.filters(None, false)?;
        self.statements_to(&["endset"])?;
        Ok(())
    }

    fn for_loop(&mut self) -> Parsed<()> {
        self.expect_name("for")?;
        self.loops.count += 1;
        self.loops.depth += 1;
        self.loops.deepest = self.loops.deepest.max(self.loops.depth);
        self.target(Some("in"), false)?;
        self.expect_name("in")?;
        self.tuple(false, Some("recursive"), false)?;
        if self.skip_name("if")? {
            self.expression(true)?;
        }
        self.skip_name("recursive")?;
        self.statements(&["endfor", "else"])?;
        if self.tokens.advance()?.value != "endfor" {
            self.statements_to(&["endfor"])?;
        }
        self.loops.depth -= 1;
        Ok(())
    }

    fn condition(&mut self) -> Parsed<()> {
        self.expect_name("if")?;
        loop {
            self.tuple(false, None, false)?;
            self.statements(&["elif", "else", "endif"])?;
            let end = self.tokens.advance()?;
            if end.is_name("elif") {
                continue;
            }
            if end.is_name("else") {
                self.statements_to(&["endif"])?;
            }
            return Ok(());
        }
    }

    fn with(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        let mut is_first = true;
        while self.current().kind != Kind::BlockEnd {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            self.target(None, false)?;
            self.expect_sign("=")?;
            self.expression(true)?;
        }
        self.statements_to(&["endwith"])?;
        Ok(())
    }

    fn autoescape(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.expression(true)?;
        self.statements_to(&["endautoescape"])?;
        Ok(())
    }

    fn named_block(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        let name = self.expect_kind(Kind::Name)?.value;
        self.skip_name("scoped")?;
        let is_required = self.skip_name("required")?;
        if self.is_sign("-") {
            return self.fail_here(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an \
                 underscore instead.",
            );
        }
        let is_blank = self.statements_to(&["endblock"])?;
        if is_required && !is_blank {
            return self.fail_here("Required blocks can only contain comments or whitespace");
        }
        self.skip_name(&name)?;
        Ok(())
    }

    fn extends(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.expression(true)?;
        Ok(())
    }

    /// Tells whether the next token is the name `name`.
    fn is_next(&mut self, name: &str) -> Parsed<bool> {
        Ok(self.tokens.look()?.is_some_and(|next| next.is_name(name)))
    }

    /// Takes `with context` or `without context`, if that comes; tells whether it did.
    fn context(&mut self) -> Parsed<bool> {
        let begins = self.current().is_name("with") || self.current().is_name("without");
        let is_there = begins && self.is_next("context")?;
        if is_there {
            self.tokens.advance()?;
            self.tokens.advance()?;
        }
        Ok(is_there)
    }

    fn include(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.expression(true)?;
        if self.current().is_name("ignore") && self.is_next("missing")? {
            self.tokens.advance()?;
            self.tokens.advance()?;
        }
        self.context()?;
        Ok(())
    }

    fn import(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.expression(true)?;
        self.expect_name("as")?;
        self.name_target()?;
        self.context()?;
        Ok(())
    }

    fn import_of_names(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.expression(true)?;
        self.expect_name("import")?;
        let mut is_first = true;
        loop {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            if self.current().kind == Kind::Name && self.context()? {
                return Ok(());
            }
            let name = self.name_target()?;
            if name.value.starts_with('_') {
                return Self::fail(name.line, "names starting with an underline can not be imported");
            }
            if self.skip_name("as")? {
                self.name_target()?;
            }
            if self.context()? || !self.is_sign(",") {
                return Ok(());
            }
        }
    }

    fn signature(&mut self) -> Parsed<()> {
        self.expect_sign("(")?;
        let (mut is_first, mut has_default) = (true, false);
        while !self.is_sign(")") {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            self.name_target()?;
            if self.skip_sign("=")? {
                self.expression(true)?;
                has_default = true;
            } else if has_default {
                return self.fail_here("non-default argument follows default argument");
            }
        }
        self.expect_sign(")")?;
        Ok(())
    }

    fn call_block(&mut self) -> Parsed<()> {
        let line = self.tokens.advance()?.line;
        if self.is_sign("(") {
            self.signature()?;
        }
        if self.expression(true)?.kind != "call" {
            return Self::fail(line, "expected call");
        }
        self.statements_to(&["endcall"])?;
        Ok(())
    }

    fn filter_block(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.filters(None, true)?;
        self.statements_to(&["endfilter"])?;
        Ok(())
    }

    fn macro_block(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        self.name_target()?;
        self.signature()?;
        self.statements_to(&["endmacro"])?;
        Ok(())
    }

    fn print(&mut self) -> Parsed<()> {
        self.tokens.advance()?;
        let mut is_first = true;
        while self.current().kind != Kind::BlockEnd {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            self.expression(true)?;
        }
        Ok(())
    }

    /// Parses a name that is assigned to.
    fn name_target(&mut self) -> Parsed<Token> {
        let token = self.expect_kind(Kind::Name)?;
        if is_constant(&token.value) {
            return Self::fail(token.line, "can't assign to 'name'");
        }
        Ok(token)
    }

    /// Parses what is assigned to: names, and tuples of them.
    fn target(&mut self, end: EndRule, may_be_attribute: bool) -> Parsed<()> {
        let target = self.list_of(end, false, |parser| parser.primary(may_be_attribute))?;
        if target.is_assignable {
            return Ok(());
        }
        Self::fail(target.line, format!("can't assign to '{}'", target.kind))
    }

    /// Parses an expression, or a tuple of several.
    fn tuple(&mut self, with_condition: bool, end: EndRule, in_brackets: bool) -> Parsed<Node> {
        self.list_of(end, in_brackets, |parser| parser.expression(with_condition))
    }

    fn list_of(&mut self, end: EndRule, in_brackets: bool, parse: impl Fn(&mut Self) -> Parsed<Node>) -> Parsed<Node> {
        let mut line = self.current().line;
        let (mut only, mut is_tuple, mut are_assignable) = (None, false, true);
        loop {
            if only.is_some() {
                self.expect_sign(",")?;
            }
            let current = self.current();
            let is_end = matches!(current.kind, Kind::VariableEnd | Kind::BlockEnd)
                || self.is_sign(")")
                || end.is_some_and(|end| current.is_name(end));
            if is_end {
                break;
            }
            let node = parse(self)?;
            are_assignable &= node.is_assignable;
            only = Some(node);
            if !self.is_sign(",") {
                break;
            }
            is_tuple = true;
            line = self.current().line;
        }
        match only {
            Some(node) if !is_tuple => Ok(node),
            None if !in_brackets => {
                let got = python::repr_str(&self.current().described());
                self.fail_here(format!("Expected an expression, got {got}"))
            }
            _ => Ok(Node { kind: "tuple", line, is_assignable: are_assignable }),
        }
    }

    fn expression(&mut self, with_condition: bool) -> Parsed<Node> {
        self.deeper(|parser| if with_condition { parser.conditional() } else { parser.or() })
    }

    fn conditional(&mut self) -> Parsed<Node> {
        let mut line = self.current().line;
        let mut node = self.or()?;
        while self.skip_name("if")? {
            self.or()?;
            if self.skip_name("else")? {
                self.expression(true)?;
            }
            node = Node::new("condexpr", line);
            line = self.current().line;
        }
        Ok(node)
    }

    fn or(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        let mut node = self.and()?;
        while self.skip_name("or")? {
            self.and()?;
            node = Node::new("or", line);
        }
        Ok(node)
    }

    fn and(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        let mut node = self.not()?;
        while self.skip_name("and")? {
            self.not()?;
            node = Node::new("and", line);
        }
        Ok(node)
    }

    /// Parses a negation; one of a negation takes no stack.
    fn not(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        if !self.skip_name("not")? {
            return self.comparison();
        }
        while self.skip_name("not")? {}
        self.comparison()?;
        Ok(Node::new("not", line))
    }

    fn comparison(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        let mut node = self.sum()?;
        loop {
            let is_operator = ["==", "!=", "<", "<=", ">", ">="].iter().any(|sign| self.is_sign(sign));
            if is_operator || self.current().is_name("in") {
                self.tokens.advance()?;
            } else if self.current().is_name("not") && self.is_next("in")? {
                self.tokens.advance()?;
                self.tokens.advance()?;
            } else {
                return Ok(node);
            }
            self.sum()?;
            node = Node::new("compare", line);
        }
    }

    /// Parses operands between which one of `signs` stands, each with what Jinja calls it.
    fn operation(&mut self, signs: &[(&str, &'static str)], operand: fn(&mut Self) -> Parsed<Node>) -> Parsed<Node> {
        let line = self.current().line;
        let mut node = operand(self)?;
        while let Some((_, kind)) = signs.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.tokens.advance()?;
            operand(self)?;
            node = Node::new(kind, line);
        }
        Ok(node)
    }

    fn sum(&mut self) -> Parsed<Node> {
        self.operation(&[("+", "add"), ("-", "sub")], Self::concatenation)
    }

    fn concatenation(&mut self) -> Parsed<Node> {
        self.operation(&[("~", "concat")], Self::product)
    }

    fn product(&mut self) -> Parsed<Node> {
        self.operation(&[("*", "mul"), ("/", "div"), ("//", "floordiv"), ("%", "mod")], Self::power)
    }

    fn power(&mut self) -> Parsed<Node> {
        self.operation(&[("**", "pow")], Self::unary)
    }

    /// Parses an operand of a power; a sign of a signed operand takes no stack.
    fn unary(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        let mut outermost = None;
        loop {
            let kind = if self.skip_sign("-")? {
                "neg"
            } else if self.skip_sign("+")? {
                "pos"
            } else {
                break;
            };
            outermost.get_or_insert(kind);
        }
        let operand = self.primary(false)?;
        let operand = self.postfix(operand)?;
        self.filtered(outermost.map_or(operand, |kind| Node::new(kind, line)))
    }

    fn primary(&mut self, may_be_attribute: bool) -> Parsed<Node> {
        let token = self.current().clone();
        let line = token.line;
        match token.kind {
            Kind::Name => {
                self.tokens.advance()?;
                if is_constant(&token.value) {
                    return Ok(Node::new("const", line));
                }
                if may_be_attribute && self.skip_sign(".")? {
                    self.expect_kind(Kind::Name)?;
                    return Ok(Node { kind: "nsref", line, is_assignable: true });
                }
                Ok(Node { kind: "name", line, is_assignable: true })
            }
            Kind::Text => {
                while self.current().kind == Kind::Text {
                    self.tokens.advance()?;
                }
                Ok(Node::new("const", line))
            }
            Kind::Integer | Kind::Float => {
                self.tokens.advance()?;
                Ok(Node::new("const", line))
            }
            Kind::Sign("(") => {
                self.tokens.advance()?;
                let node = self.tuple(true, None, true)?;
                self.expect_sign(")")?;
                Ok(node)
            }
            Kind::Sign("[") => {
                self.tokens.advance()?;
                self.items("]", |parser| parser.expression(true).map(drop))?;
                Ok(Node::new("list", line))
            }
            Kind::Sign("{") => {
                self.tokens.advance()?;
                self.items("}", |parser| {
                    parser.expression(true)?;
                    parser.expect_sign(":")?;
                    parser.expression(true).map(drop)
                })?;
                Ok(Node::new("dict", line))
            }
            _ => Self::fail(line, format!("unexpected {}", python::repr_str(&token.described()))),
        }
    }

    /// Parses what commas separate up to the bracket `end`; one may be too many.
    fn items(&mut self, end: &str, item: impl Fn(&mut Self) -> Parsed<()>) -> Parsed<()> {
        let mut is_first = true;
        while !self.is_sign(end) {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            if self.is_sign(end) {
                break;
            }
            item(self)?;
        }
        self.expect_sign(end)?;
        Ok(())
    }

    fn postfix(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            node = if self.is_sign(".") || self.is_sign("[") {
                self.subscript()?
            } else if self.is_sign("(") {
                self.call()?
            } else {
                return Ok(node);
            };
        }
    }

    fn filtered(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            node = if self.is_sign("|") {
                self.filters(Some(node), false)?.unwrap_or(node)
            } else if self.current().is_name("is") {
                self.test()?
            } else if self.is_sign("(") {
                self.call()?
            } else {
                return Ok(node);
            };
        }
    }

    fn subscript(&mut self) -> Parsed<Node> {
        let token = self.tokens.advance()?;
        if token.kind == Kind::Sign(".") {
            let attribute = self.tokens.advance()?;
            return match attribute.kind {
                Kind::Name => Ok(Node::new("getattr", token.line)),
                Kind::Integer => Ok(Node::new("getitem", token.line)),
                _ => Self::fail(attribute.line, "expected name or number"),
            };
        }
        let mut is_first = true;
        while !self.is_sign("]") {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
            }
            self.subscribed()?;
        }
        self.expect_sign("]")?;
        Ok(Node::new("getitem", token.line))
    }

    /// Parses an index or a slice.
    fn subscribed(&mut self) -> Parsed<()> {
        if !self.is_sign(":") {
            self.expression(true)?;
            if !self.is_sign(":") {
                return Ok(());
            }
        }
        self.tokens.advance()?;
        if !self.is_sign(":") && !self.is_sign("]") && !self.is_sign(",") {
            self.expression(true)?;
        }
        if self.skip_sign(":")? && !self.is_sign("]") && !self.is_sign(",") {
            self.expression(true)?;
        }
        Ok(())
    }

    fn call(&mut self) -> Parsed<Node> {
        let line = self.current().line;
        self.arguments()?;
        Ok(Node::new("call", line))
    }

    fn arguments(&mut self) -> Parsed<()> {
        let line = self.expect_sign("(")?.line;
        let (mut has_list, mut has_dictionary, mut has_named, mut needs_comma) = (false, false, false, false);
        while !self.is_sign(")") {
            if std::mem::replace(&mut needs_comma, true) {
                self.expect_sign(",")?;
                if self.is_sign(")") {
                    break;
                }
            }
            let is_named = self.current().kind == Kind::Name
                && self.tokens.look()?.is_some_and(|next| next.kind == Kind::Sign("="));
            let is_allowed = if self.is_sign("*") {
                !has_list && !has_dictionary
            } else if self.is_sign("**") || is_named {
                !has_dictionary
            } else {
                !has_list && !has_dictionary && !has_named
            };
            if !is_allowed {
                return Self::fail(line, "invalid syntax for function call expression");
            }
            if self.skip_sign("*")? {
                has_list = true;
            } else if self.skip_sign("**")? {
                has_dictionary = true;
            } else if is_named {
                self.tokens.advance()?;
                self.tokens.advance()?;
                has_named = true;
            }
            self.expression(true)?;
        }
        self.expect_sign(")")?;
        Ok(())
    }

    /// Parses the filters of an expression; the first of a block's stands without a bar.
    fn filters(&mut self, mut node: Option<Node>, mut is_inline: bool) -> Parsed<Option<Node>> {
        while is_inline || self.is_sign("|") {
            if !std::mem::take(&mut is_inline) {
                self.tokens.advance()?;
            }
            let line = self.current().line;
            self.dotted_name()?;
            if self.is_sign("(") {
                self.arguments()?;
            }
            node = Some(Node::new("filter", line));
        }
        Ok(node)
    }

    fn dotted_name(&mut self) -> Parsed<()> {
        self.expect_kind(Kind::Name)?;
        while self.skip_sign(".")? {
            self.expect_kind(Kind::Name)?;
        }
        Ok(())
    }

    fn test(&mut self) -> Parsed<Node> {
        let line = self.tokens.advance()?.line;
        let is_negated = self.skip_name("not")?;
        self.dotted_name()?;
        if self.is_sign("(") {
            self.arguments()?;
        } else {
            let current = self.current();
            let begins = match current.kind {
                Kind::Name => !["else", "or", "and"].contains(&current.value.as_str()),
                Kind::Text | Kind::Integer | Kind::Float | Kind::Sign("[" | "{") => true,
                _ => false,
            };
            if begins {
                if current.is_name("is") {
                    return self.fail_here("You cannot chain multiple tests with is");
                }
                let argument = self.primary(false)?;
                self.postfix(argument)?;
            }
        }
        Ok(Node::new(if is_negated { "not" } else { "test" }, line))
    }
}

/// Tells whether a name stands for a constant.
fn is_constant(name: &str) -> bool {
    ["true", "false", "none", "True", "False", "None"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(template: &str) -> Option<(usize, String)> {
        check(template).unwrap().err().map(|fault| (fault.line, fault.message))
    }

    #[test]
    fn takes_what_jinja_takes() {
        let templates = [
            "",
            "plain }} text",
            "{{ a.b['c'](1, *d, e=2, **f) | g(1) | h.i is not j }}{# c #}",
            "{{ 1 if a else 2 }}{{ [1, (2,), {'a': 3,},] }}{{ () }}{{ a[1:2:3], a[:, 1] }}",
            "{{ 0x1f + 0b1 + 0o7 + 1_000 + 1.5e-3 + 1e5 + 00 }}{{ a is b c }}",
            "{% for (a, b), c in d if e recursive %}{% else %}{% endfor %}{% set a.b = 1 %}{% set c | upper %}{% endset %}",
            "{% macro a(b, c=1) %}{% endmacro %}{% call(d) a(1) %}{% endcall %}{% with a = 1, b = 2 %}{% endwith %}",
            "{% block a required %} {# c #} {% endblock a %}{% from 'a' import b as c, d with context %}",
            "{%- raw -%} {{ %} {%- endraw -%}{% if a: %}{% elif b %}{% endif %}",
        ];
        for template in templates {
            assert_eq!(fault(template), None, "{template}");
        }
    }

    /// The answers are those of Jinja 3.1.6; the conformance suite has many more.
    #[test]
    fn says_what_jinja_says() {
        let table = [
            ("{{", 1, "unexpected 'end of template'"),
            ("a\n{{ b", 2, "unexpected end of template, expected 'end of print statement'."),
            ("{{ a b }}", 1, "expected token 'end of print statement', got 'b'"),
            ("{{ (a] }}", 1, "unexpected ']', expected ')'"),
            ("ü{{ € }}", 1, "unexpected char '€' at 4"),
            ("{% if %}", 1, "Expected an expression, got 'end of statement block'"),
            ("{% set (a.b) = 1 %}", 1, "can't assign to 'getattr'"),
            ("{# a", 1, "Missing end of comment tag"),
            (
                "{% for a in b %}{% if c %}{% endfor %}{% endif %}",
                1,
                "Encountered unknown tag 'endfor'. You probably made a nesting mistake. Jinja is expecting this tag, but \
                 currently looking for 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.",
            ),
            (
                "{% if a %}",
                1,
                "Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The \
                 innermost block that needs to be closed is 'if'.",
            ),
        ];
        for (template, line, message) in table {
            assert_eq!(fault(template), Some((line, message.to_owned())), "{template}");
        }
    }

    #[test]
    fn bounds_what_nests() {
        let nested = |levels: usize| format!("{{{{ {}a{} }}}}", "(".repeat(levels), ")".repeat(levels));
        let check = |template: &str| budget::evaluate(|| check(template));
        assert_eq!(check(&nested(200)), Ok(Ok(())));
        for template in [nested(300), "{% if a %}".repeat(300), format!("{{{{ {}1 }}}}", "a[".repeat(300))] {
            assert_eq!(check(&template), Err(Exceeded(Bound::TemplateNesting)));
        }
        for chain in ["not ", "-", "+-"] {
            assert_eq!(check(&format!("{{{{ {}1 }}}}", chain.repeat(2_000))), Ok(Ok(())));
        }
    }
}
