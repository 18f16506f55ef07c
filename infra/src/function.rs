//! A function with what belongs to it alone: its role and its log group.

use common::store::{
    TableAccess,
    access::{Indexes, Secrets},
};
use serde_json::{Map, Value, json};

use crate::{assets, attribute, logical_id, only_if, parameters, reference, substitute};

/// Where `cargo lambda build` leaves a function's binary, seen from the templates.
const BUILT: &str = "../../target/lambda";

/// A Lambda function to be declared.
pub(crate) struct Function<'f> {
    /// The binary, which is also the function's name within the stage.
    pub(crate) name: &'f str,
    /// What it is for.
    pub(crate) description: String,
    /// How long one invocation may take, in seconds.
    pub(crate) timeout: u32,
    /// What it does with the table.
    pub(crate) access: TableAccess,
    /// Whether it has what Prefect ships as data beside it.
    pub(crate) reads_assets: bool,
    /// What its role allows besides.
    pub(crate) statements: Vec<Value>,
    /// What it is told.
    pub(crate) environment: Environment,
}

/// What a function is told in its environment; the parameters that the variables name are those of its nested stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Environment {
    /// What a server of the API is told: the table, the settings, and what it asks of callers.
    Api,
    /// The table and the settings: nobody calls it who would have to be known.
    Table,
    /// One variable alone, and the parameter that it has the value of.
    Only(&'static str, &'static str),
}

/// How long the name of a function may be behind that of its stage: Lambda takes 64 characters in all.
const LONGEST_NAME: usize = 40;

/// Leaves out the last words of a name that is too long.
fn fitting(name: &str) -> &str {
    let mut name = name;
    while name.len() > LONGEST_NAME {
        name = name.rsplit_once('_').map_or(&name[..LONGEST_NAME], |(words, _)| words);
    }
    name
}

impl Function<'_> {
    /// Returns the logical id of the function.
    pub(crate) fn id(&self) -> String {
        logical_id(self.name)
    }

    /// Declares the function, its role and its log group, in a nested stack.
    pub(crate) fn resources(&self) -> Map<String, Value> {
        let id = self.id();
        let (role, logs) = (format!("{id}Role"), format!("{id}Logs"));
        let mut function = json!({
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": substitute(&format!("proctor-${{Stage}}-{}", fitting(self.name))),
                "Description": self.description,
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": [reference("Architecture")],
                "Code": format!("{BUILT}/{}", self.name),
                "MemorySize": reference("Memory"),
                "Timeout": self.timeout,
                "Role": attribute(&role, "Arn"),
                "LoggingConfig": { "LogGroup": reference(&logs) },
                "TracingConfig": { "Mode": { "Fn::If": ["IsTraced", "Active", "PassThrough"] } },
                "Environment": { "Variables": self.variables() }
            }
        });
        if self.reads_assets {
            let properties = &mut function["Properties"];
            properties["Layers"] = json!([reference(assets::LAYER)]);
            properties["Environment"]["Variables"]["PROCTOR_ASSETS"] = assets::MOUNTED.into();
        }
        let log_group = json!({
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "LogGroupName": substitute(&format!("/proctor/${{Stage}}/{}", self.name)),
                "RetentionInDays": reference("LogRetention")
            }
        });
        Map::from_iter([(id, function), (role, self.role(&logs)), (logs, log_group)])
    }

    fn variables(&self) -> Value {
        let mut variables = self.environment.variables();
        if self.access.secrets != Secrets::Nothing {
            variables["PROCTOR_SECRETS_KEY"] = reference("SecretsKey");
        }
        variables
    }

    fn role(&self, logs: &str) -> Value {
        let mut statements = vec![json!({
            "Sid": "WritesItsLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": attribute(logs, "Arn")
        })];
        statements.extend(table_statements(self.access));
        statements.extend(secrets_statement(self.access.secrets));
        statements.extend(self.statements.iter().cloned());
        if matches!(self.environment, Environment::Api) {
            statements.extend(knowing_callers(self.access));
        }
        statements.push(only_if(
            "IsTraced",
            &json!({
                "Sid": "SendsTraces",
                "Effect": "Allow",
                "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
                "Resource": "*"
            }),
        ));
        json!({
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": { "Service": "lambda.amazonaws.com" },
                        "Action": "sts:AssumeRole"
                    }]
                },
                "Policies": [{
                    "PolicyName": "access",
                    "PolicyDocument": { "Version": "2012-10-17", "Statement": statements }
                }]
            }
        })
    }
}

pub(crate) const TABLE: &str = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}";

fn table_statements(access: TableAccess) -> Vec<Value> {
    let mut statements = Vec::new();
    if !access.table.actions().is_empty() {
        statements.push(json!({
            "Sid": "UsesTheTable",
            "Effect": "Allow",
            "Action": access.table.actions(),
            "Resource": substitute(TABLE)
        }));
    }
    if access.indexes != Indexes::NONE {
        let indexes = access.indexes.iter().map(|index| substitute(&format!("{TABLE}/index/{}", index.name())));
        statements.push(json!({
            "Sid": "QueriesIndexes",
            "Effect": "Allow",
            "Action": ["dynamodb:Query"],
            "Resource": indexes.collect::<Vec<_>>()
        }));
    }
    statements
}

/// Returns what a function needs to open or seal the data of blocks: the master key, and for this table alone.
fn secrets_statement(secrets: Secrets) -> Option<Value> {
    (secrets != Secrets::Nothing).then(|| {
        json!({
            "Sid": "UsesTheSecretsKey",
            "Effect": "Allow",
            "Action": secrets.actions(),
            "Resource": [reference("SecretsKey"), only_if("HasFormerSecretsKey", &reference("FormerSecretsKey"))],
            "Condition": { "StringEquals": { "kms:EncryptionContext:proctor:table": reference("Table") } }
        })
    })
}

/// Returns what a function needs to know its callers, where its own work does not include it.
fn knowing_callers(access: TableAccess) -> Vec<Value> {
    const GET: &str = "dynamodb:GetItem";
    let password = json!({
        "Sid": "ReadsThePassword",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": reference("AuthStringSecret")
    });
    let mut statements = vec![only_if("HasPassword", &password)];
    if !access.table.actions().contains(&GET) {
        let reads = json!({ "Sid": "ReadsKeys", "Effect": "Allow", "Action": [GET], "Resource": substitute(TABLE) });
        statements.push(only_if("HasKeys", &reads));
    }
    statements
}

impl Environment {
    fn variables(self) -> Value {
        match self {
            Self::Api => {
                let mut variables = settings();
                variables["PROCTOR_AUTH_MODE"] = reference("AuthMode");
                variables["PROCTOR_AUTH_STRING_SECRET"] = only_if("HasPassword", &reference("AuthStringSecret"));
                variables
            }
            Self::Table => settings(),
            Self::Only(variable, parameter) => json!({ (variable): reference(parameter) }),
        }
    }
}

/// Returns how many executions of a function are set apart for it, which it then can't exceed; 0 sets none apart.
pub(crate) fn reserved(parameter: &str) -> Value {
    only_if(parameters::RESERVES, &reference(parameter))
}

/// Returns where the table is, and the settings.
fn settings() -> Value {
    json!({
        "PROCTOR_TABLE": reference("Table"),
        "PROCTOR_SHARDS": reference("Shards"),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": substitute("P${EventRetention}D"),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": { "Fn::If": ["RunsExpire", "events,flow_runs", "events"] },
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": only_if("RunsExpire", &substitute("P${RunRetention}D")),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": reference("CorsOrigins")
    })
}
