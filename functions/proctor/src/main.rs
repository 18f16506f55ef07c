//! `cargo run`: Proctor on one machine, on SQLite.

use std::{
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::ValueEnum;
use clap::{CommandFactory, Parser, Subcommand, ValueHint};
use common::{
    App, Error, Settings, Store,
    blocks::installation::{self, Installed},
    jobs::queue::QueueLocation,
    logging,
    runtime::{
        self,
        key_file::{self, KeyFile},
        outward::{self, Reach},
    },
    settings::Variables,
    vault::Vault,
};
use embedded::EmbeddedDatabase;
use proctor::{
    assets, backup, check, completions, data_keys,
    database::{Database, DatabaseError},
    dead_letters,
    failure::{Failure, Place},
    keys, output,
    page::{self, Fetching, Page, bucket},
    server::{self, reachable},
    services::Services,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Prefect 3 server on this machine, with its database in one file.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The address or name to listen on.
    #[arg(long, env = "PREFECT_SERVER_API_HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, env = "PREFECT_SERVER_API_PORT", default_value_t = 4200)]
    port: u16,
    /// The directory of the database file.
    #[arg(long, env = "PROCTOR_DATA", default_value = "data", global = true, value_hint = ValueHint::DirPath)]
    data: PathBuf,
    /// The folder of what Prefect ships as data, which the command `assets` makes; without this, `assets` in the directory
    /// of the database file.
    #[arg(long, env = "PROCTOR_ASSETS", global = true, value_hint = ValueHint::DirPath)]
    assets: Option<PathBuf>,
    /// The file of the key that the data of blocks is sealed with; without this, `proctor.key` in the directory of the
    /// database file.
    #[arg(long, env = "PROCTOR_KEY_FILE", global = true, value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// Keeps everything in memory, and forgets it at the end.
    #[arg(long)]
    in_memory: bool,
    /// Works on an emulator of DynamoDB in a file of its own, and serves it on this port, for functions that run as
    /// processes of their own.
    #[arg(long, env = "PROCTOR_DATABASE_PORT")]
    database_port: Option<u16>,
    /// What a write that was answered outlives.
    #[arg(long, env = "PROCTOR_DURABILITY", value_enum, default_value_t = Durability::Process)]
    durability: Durability,
    /// Starts without the background services.
    #[arg(long)]
    no_services: bool,
    /// Shows no user interface, and fetches none of its files.
    #[arg(long)]
    no_ui: bool,
}

/// What a write that was answered outlives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Durability {
    /// The process, killed at any moment.
    Process,
    /// The machine as well, losing its power at any moment: each write waits for the disk.
    Full,
}

impl From<Durability> for sqlite::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Process => Self::Process,
            Durability::Full => Self::Full,
        }
    }
}

impl Arguments {
    /// Returns the file of the database.
    fn file(&self) -> PathBuf {
        self.data.join("proctor.db")
    }

    /// Returns the folder of what Prefect ships as data.
    fn assets(&self) -> PathBuf {
        self.assets.clone().unwrap_or_else(|| self.data.join("assets"))
    }

    /// Says whether a server of these arguments gets what Prefect ships as data by itself, for the page.
    ///
    /// What keeps nothing fills no folder that nobody named.
    fn fetches(&self, app: &App) -> bool {
        app.settings.page.enabled && (self.assets.is_some() || !self.in_memory)
    }

    /// Returns the file of the key that the data of blocks is sealed with.
    fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join(key_file::NAME))
    }

    /// Returns where a command works: on the deployed table that it names, or on the local database.
    fn place(&self, table: Option<&String>) -> Place {
        match table {
            Some(table) => Place::Table(table.clone()),
            None => Place::Local { data: self.data.clone(), key_file: self.key_file() },
        }
    }
}

/// What is done in place of serving.
#[derive(Debug, Subcommand)]
enum Command {
    /// Takes what Prefect ships as data from its package: built-in block types, workers' defaults, the user interfaces.
    Assets(assets::Arguments),
    /// Makes the files of the page ready for the bucket of a deployed stack.
    Page(bucket::Arguments),
    /// Makes, lists, expires and revokes API keys.
    Keys(keys::Arguments),
    /// Copies the database into a file, also while a server works on it.
    Backup(backup::Arguments),
    /// Finds what can't be read in the database, and mends what can be mended.
    Check(check::Arguments),
    /// Lists, replaces and forgets the keys that the data of blocks is sealed with.
    DataKeys(data_keys::Arguments),
    /// Lists work that failed for good, has it tried again, or forgets it.
    DeadLetters(dead_letters::Arguments),
    /// Prints the script by which a shell completes commands and options.
    Completions(completions::Arguments),
}

/// The stack of each thread, in bytes, of which only what is used takes memory.
///
/// The engine's calls run on top of the request's, and a document may be nested as deep as Prefect takes it.
const STACK: usize = 32 * 1024 * 1024;

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let command = arguments.command.take();
    logging::start_with_default("warn");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let outcome = runtime.map_err(Failure::System).and_then(|runtime| match command {
        None => runtime.block_on(run(arguments)),
        Some(Command::Assets(command)) => make_assets(&arguments, &command),
        Some(Command::Page(command)) => runtime.block_on(prepare_page(&arguments, &command)),
        Some(Command::Keys(command)) => runtime.block_on(manage_keys(&arguments, command)),
        Some(Command::Backup(command)) => runtime.block_on(back_up(&arguments, &command)),
        Some(Command::Check(command)) => runtime.block_on(check_store(&arguments, command)),
        Some(Command::DataKeys(command)) => runtime.block_on(manage_data_keys(&arguments, command)),
        Some(Command::DeadLetters(command)) => runtime.block_on(manage_dead_letters(&arguments, command)),
        Some(Command::Completions(command)) => {
            printed(output::print(&completions::carry_out(command, &mut Arguments::command())))
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nobody else to be told.
            let _ = writeln!(io::stderr(), "proctor: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Says whether what a command had to print is where it should be, or was not wanted any more.
fn printed(outcome: io::Result<()>) -> Result<(), Failure> {
    outcome.or_else(|error| if output::is_unread(&error) { Ok(()) } else { Err(Failure::Output(error)) })
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let place = arguments.place(None);
    let listener = listen(&arguments.host, arguments.port, "--port").await?;
    let address = listener.local_addr().map_err(Failure::System)?;
    let settings = settings(&arguments, address)?;
    let database = open(&arguments)?;
    let store = database.store(&settings.table, settings.shards).guarded();
    store.create_table().await.map_err(|error| place.failed(PREPARE, error))?;
    let vault = vault(&arguments, &store).await.map_err(|error| place.failed(FIND_KEY, error))?;
    let queue = QueueLocation::Embedded(database.queue()?.sdk_config());
    let allows_private = settings.allow_private_addresses.unwrap_or(address.ip().is_loopback());
    let reach = if allows_private { Reach::Loopback } else { Reach::Public };
    let app = outward::calling(App::new(store, settings).with_vault(vault).measuring_queue(queue), reach);
    if app.settings.register_blocks_on_start {
        install_block_types(&app).await;
    }

    let (stop, stopping) = watch::channel(false);
    let stopped = async move |mut stopping: watch::Receiver<bool>| {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let database_server = match (&database, arguments.database_port) {
        (Database::Emulator(database), Some(port)) => {
            let listener = listen(&arguments.host, port, "--database-port").await?;
            let address = listener.local_addr().map_err(Failure::System)?;
            println!("The database listens on http://{}", reachable(address));
            let limits = app.settings.limits.clone();
            Some(tokio::spawn(server::serve_database(listener, database.clone(), limits, stopped(stopping.clone()))))
        }
        _ => None,
    };
    let services = if arguments.no_services { Services::none() } else { Services::start(&app, &database, &stopping)? };

    let url = format!("http://{}{}", reachable(address), app.settings.base_path);
    println!("Proctor listens on {address}\nPoint the Prefect client at it:  export PREFECT_API_URL={url}");
    if app.settings.page.enabled {
        println!("Open the page in a browser:      http://{}{}", reachable(address), app.settings.page.bases[0]);
    }
    let (told, fetching) = watch::channel(Fetching::No);
    let mut fetched = None;
    if let Err(missing) = app.assets.check().await {
        println!("{missing}");
        if arguments.fetches(&app) && matches!(missing, Error::NotFound(_)) {
            fetched = Some(tokio::spawn(fetch(app.clone(), arguments.assets(), told, stopping.clone())));
        }
    }
    let page = Page::new(&app, address, fetching);
    let server = tokio::spawn(server::serve(listener, app, Some(page), stopped(stopping)));
    stop_signal().await.map_err(Failure::System)?;
    let _ = stop.send(true);
    // What clients hold open longer than this is cut, as are websockets: all that was answered is stored.
    let _ = tokio::time::timeout(GRACE, server).await;
    services.join().await;
    if let Some(fetched) = fetched {
        let _ = tokio::time::timeout(GRACE, fetched).await;
    }
    if let Some(server) = database_server {
        let _ = tokio::time::timeout(GRACE, server).await;
    }
    Ok(())
}

/// Fetches what Prefect ships as data for a server that has started without it.
async fn fetch(app: App, folder: PathBuf, told: watch::Sender<Fetching>, stopping: watch::Receiver<bool>) {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return drop(told.send_replace(Fetching::Failed(error.to_string()))),
    };
    if page::fetch(&program, &folder, told, stopping).await && app.settings.register_blocks_on_start {
        install_block_types(&app).await;
    }
}

/// Makes the folder of what Prefect ships as data, which a server that runs finds without being told.
fn make_assets(arguments: &Arguments, command: &assets::Arguments) -> Result<(), Failure> {
    printed(command.form.print(&assets::carry_out(command, &arguments.assets())?))
}

/// Makes the files of the page ready to be uploaded.
async fn prepare_page(arguments: &Arguments, command: &bucket::Arguments) -> Result<(), Failure> {
    printed(command.form.print(&bucket::carry_out(command, arguments.assets()).await?))
}

/// Returns where the data of blocks is sealed and opened.
///
/// The key file is made where nothing was ever sealed. Where it is missing otherwise, the server starts all the same, and
/// says what is missing to who asks for a block.
async fn vault(arguments: &Arguments, store: &Store) -> common::Result<Vault> {
    if arguments.in_memory && arguments.key_file.is_none() {
        return Ok(Vault::new(Box::new(KeyFile::in_memory()?)));
    }
    let file = arguments.key_file();
    // The first line on standard output says where the server listens.
    if store.current_data_key().await?.is_none() {
        let shown = file.display();
        let made = KeyFile::make(&file);
        match made {
            Ok(true) => eprintln!("proctor: made {shown}, without which the data of blocks can't be read: keep a copy"),
            Ok(false) => {}
            Err(error) => eprintln!("proctor: {error}, so that no block can be saved"),
        }
    } else if !file.exists() {
        eprintln!(
            "proctor: the key file {} is missing: put it back, for blocks can't be read without it",
            file.display()
        );
    }
    Ok(Vault::new(Box::new(KeyFile::at(file))))
}

/// Installs the block types that Prefect ships, where somebody has taken them from its package.
///
/// What goes wrong is no reason not to start.
async fn install_block_types(app: &App) {
    match installation::install_once(app, &app.assets).await {
        // That there is nothing to install is said when the server listens.
        Ok(Installed::Before) | Err(Error::NotFound(_)) => {}
        Ok(Installed::Types(count)) => eprintln!("proctor: installed {count} block types"),
        Err(error) => eprintln!("proctor: the block types of Prefect could not be installed: {error}"),
    }
}

/// What the server and every command do first, behind "can't".
const PREPARE: &str = "prepare the database";

/// What whoever seals does first, behind "can't".
const FIND_KEY: &str = "find the key that blocks are sealed with";

/// What a command with `--table` does first, behind "can't".
const CONNECT: &str = "connect to the table";

/// Does what `data-keys` says, in a database that a server may have open at the same time.
async fn manage_data_keys(arguments: &Arguments, command: data_keys::Arguments) -> Result<(), Failure> {
    let data_keys::Arguments { table, secrets_key, form, action } = command;
    let place = arguments.place(table.as_ref());
    let app = if let Some(table) = &table {
        let mut variables = Variables::from_env();
        variables.set("PROCTOR_TABLE", table);
        if let Some(key) = &secrets_key {
            variables.set("PROCTOR_SECRETS_KEY", key);
        }
        connect(&place, variables).await?
    } else {
        let settings = Settings::local(Variables::from_env()).map_err(Failure::Settings)?;
        let store = store(arguments, None).await?;
        let vault = vault(arguments, &store).await.map_err(|error| place.failed(FIND_KEY, error))?;
        App::new(store, settings).with_vault(vault)
    };
    let progress = form.progress();
    let outcome = data_keys::carry_out(&app, action, &progress).await;
    drop(progress);
    let report = outcome.map_err(|error| place.failed(action.tried(), error))?;
    printed(form.print(&report))?;
    match report.missing() {
        None => Ok(()),
        Some(error) => Err(Failure::KeysMissing { next: place.next(action.tried(), &error), error }),
    }
}

/// Does what `keys` says, in a database that a server may have open at the same time.
async fn manage_keys(arguments: &Arguments, command: keys::Arguments) -> Result<(), Failure> {
    let keys::Arguments { table, form, action } = command;
    let store = store(arguments, table.as_ref()).await?;
    let tried = action.tried();
    let progress = form.progress();
    progress.wait("Working on API keys");
    let outcome = keys::carry_out(&store, action).await;
    drop(progress);
    let report = outcome.map_err(|error| arguments.place(table.as_ref()).failed(tried, error))?;
    match (form.print(&report), report) {
        // Nobody will ever see it, also where the reader has gone.
        (Err(error), keys::Report::Created(created)) => Err(Failure::KeyUnseen(created.known.id, error)),
        (outcome, _) => printed(outcome),
    }
}

/// Copies a database that a server may have open at the same time.
async fn back_up(arguments: &Arguments, command: &backup::Arguments) -> Result<(), Failure> {
    if arguments.in_memory {
        return Err(Failure::NothingLasts);
    }
    let report = backup::carry_out(command, &open_beside(arguments)?).await.map_err(Failure::Backup)?;
    printed(command.form.print(&report))
}

/// Looks at a database that a server may have open at the same time.
async fn check_store(arguments: &Arguments, command: check::Arguments) -> Result<(), Failure> {
    let check::Arguments { table, repair, form } = command;
    let (store, file) = if table.is_some() {
        let store = store(arguments, table.as_ref()).await?;
        let differing = check::recount(&store, form).await;
        let tallies = differing.map_err(|error| arguments.place(table.as_ref()).failed("check the database", error))?;
        (store, check::File { tallies, ..check::File::default() })
    } else {
        let (database, store) = local(arguments)?;
        let tallies = database.check_tallies(repair).await.map_err(DatabaseError::from)?;
        let damage = database.integrity_check().await.map_err(DatabaseError::from)?;
        (store, check::File { damage, tallies, are_mended: repair })
    };
    let outcome = check::carry_out(&store, file, repair, form).await;
    let (report, lines) =
        outcome.map_err(|error| arguments.place(table.as_ref()).failed("check the database", error))?;
    printed(lines.and_then(|()| form.print(&report)))?;
    let next = if repair {
        "Delete those records by their ids over the API, or put back a copy of the database"
    } else {
        "`proctor check --repair` mends what can be mended for certain"
    };
    match report.left() {
        _ if !report.damage.is_empty() => Err(Failure::Damaged(arguments.file())),
        0 => Ok(()),
        left => Err(Failure::NotWell { left, next }),
    }
}

/// Does what `dead-letters` says, in a database that a server may have open at the same time.
async fn manage_dead_letters(arguments: &Arguments, command: dead_letters::Arguments) -> Result<(), Failure> {
    let dead_letters::Arguments { table, form, action } = command;
    let store = store(arguments, table.as_ref()).await?;
    let tried = action.tried();
    let progress = form.progress();
    let outcome = dead_letters::carry_out(&store, action, &progress).await;
    drop(progress);
    let report = outcome.map_err(|error| arguments.place(table.as_ref()).failed(tried, error))?;
    printed(form.print(&report))
}

/// Connects to the deployed table that `variables` name.
async fn connect(place: &Place, variables: Variables) -> Result<App, Failure> {
    let settings = Settings::from(variables).map_err(Failure::Settings)?;
    runtime::connect::to_table(settings).await.map_err(|error| place.failed(CONNECT, error))
}

/// Opens the deployed table of this name, or the local database.
async fn store(arguments: &Arguments, table: Option<&String>) -> Result<Store, Failure> {
    let Some(table) = table else { return Ok(local(arguments)?.1) };
    let mut variables = Variables::from_env();
    variables.set("PROCTOR_TABLE", table);
    Ok(connect(&arguments.place(Some(table)), variables).await?.store)
}

/// Opens the local database, and the store on it.
fn local(arguments: &Arguments) -> Result<(sqlite::Database, Store), Failure> {
    if arguments.in_memory {
        return Err(Failure::NothingLasts);
    }
    let settings = Settings::local(Variables::from_env()).map_err(Failure::Settings)?;
    let database = open_beside(arguments)?;
    let store = Store::on(database.clone(), settings.shards);
    Ok((database, store))
}

/// How long open requests may take to end after a signal to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Listens on `port`, which `option` names.
async fn listen(host: &str, port: u16, option: &'static str) -> Result<TcpListener, Failure> {
    TcpListener::bind((host, port)).await.map_err(|reason| match reason.kind() {
        ErrorKind::AddrInUse => Failure::PortInUse { host: host.into(), port, option },
        _ => Failure::Listen { host: host.into(), port, option, reason },
    })
}

/// Reads the settings; what the command line said comes before the environment.
fn settings(arguments: &Arguments, address: SocketAddr) -> Result<Settings, Failure> {
    let mut variables = Variables::from_env();
    variables.set("PREFECT_SERVER_API_HOST", &arguments.host);
    variables.set("PREFECT_SERVER_API_PORT", &address.port());
    variables.set("PROCTOR_ASSETS", &arguments.assets().display());
    if arguments.no_ui {
        variables.set("PREFECT_SERVER_UI_ENABLED", &false);
    }
    let settings = Settings::local(variables).map_err(Failure::Settings)?;
    // Says at once what could not be read, also of the settings that are only shown.
    settings.tree().map_err(Failure::Settings)?;
    Ok(settings)
}

/// Opens the database for the server.
fn open(arguments: &Arguments) -> Result<Database, Failure> {
    let emulates = arguments.database_port.is_some();
    if arguments.in_memory {
        return Ok(if emulates {
            Database::Emulator(EmbeddedDatabase::in_memory().map_err(DatabaseError::from)?)
        } else {
            Database::Sqlite(sqlite::Database::in_memory().map_err(DatabaseError::from)?)
        });
    }
    make_directory(arguments)?;
    if emulates {
        let file = arguments.data.join("dynamodb.db");
        let opened = EmbeddedDatabase::open(&file).map_err(DatabaseError::from);
        return Ok(Database::Emulator(opened.map_err(|error| Failure::File(file, error))?));
    }
    let (file, durability) = (arguments.file(), arguments.durability.into());
    let opened = sqlite::Database::open_with(&file, sqlite::Mode::Serving, durability);
    Ok(Database::Sqlite(opened.map_err(|error| not_opened(file, error))?))
}

/// Opens the database for a command, also where a server has it open.
fn open_beside(arguments: &Arguments) -> Result<sqlite::Database, Failure> {
    make_directory(arguments)?;
    let file = arguments.file();
    let opened = sqlite::Database::open_with(&file, sqlite::Mode::Beside, arguments.durability.into());
    opened.map_err(|error| not_opened(file, error))
}

fn make_directory(arguments: &Arguments) -> Result<(), Failure> {
    sqlite::make_directory(&arguments.data).map_err(|error| Failure::Directory(arguments.data.clone(), error))
}

fn not_opened(file: PathBuf, error: sqlite::SqliteError) -> Failure {
    if error.names_next_step() { Failure::Refused(error) } else { Failure::File(file, error.into()) }
}

async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
