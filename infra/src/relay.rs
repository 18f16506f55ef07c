//! The relay, for who needs larger messages and longer connections than API Gateway's
//! (docs/decisions/0017-the-relay.md).
//!
//! One small machine holds the websockets. A group of one replaces it when it is not well, and a load balancer is its
//! address meanwhile, which CloudFront knows as an origin within the VPC: nothing here has an address that the internet
//! leads to, but for what the machine itself asks of AWS. Never do two machines run at once: one does not know the
//! other's connections, and would call them gone.
//!
//! `sam deploy` uploads what Lambda runs, and nothing else. So the binary is the content of a layer, which no function
//! has: its version is named in the machine's template, and another binary replaces the machine.

use common::lambda::SocketRoute;
use serde_json::{Map, Value, json};

use crate::{RELAY, attribute, logical_id, only_if, parameters, reference, substitute, template};

pub(crate) use common::runtime::gateway::RELAY_PATH as PATH;

/// The relay's port.
const PORT: u16 = 8080;

/// The load balancer's port.
const FRONT: u16 = 80;

/// The addresses of the network: of all, of the subnets of the load balancer, and of those of the machine.
const NETWORK: &str = "10.98.0.0/26";
const INNER: [&str; 2] = ["10.98.0.0/28", "10.98.0.16/28"];
const OUTER: [&str; 2] = ["10.98.0.32/28", "10.98.0.48/28"];

/// After how many seconds a machine is replaced by one with the newest image: 30 days.
const LIFETIME: u32 = 30 * 24 * 3_600;

/// Declares the secret that functions show to the relay, for the root stack.
pub(crate) fn secret() -> Map<String, Value> {
    let secret = json!({
        "Type": "AWS::SecretsManager::Secret",
        "Condition": "HasRelay",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Description": substitute("What functions of proctor-${Stage} show to the relay"),
            "GenerateSecretString": { "PasswordLength": 64, "ExcludePunctuation": true }
        }
    });
    Map::from_iter([("RelaySecret".to_owned(), secret)])
}

/// Returns the relay as the origin `id` of the distribution.
pub(crate) fn origin(id: &str) -> Value {
    let output = |name: &str| attribute(&logical_id(RELAY), &format!("Outputs.{name}"));
    json!({
        "Id": id,
        "DomainName": output("Address"),
        // A connection is answered when its function has answered, which may have to start.
        "VpcOriginConfig": { "VpcOriginId": output("Origin"), "OriginReadTimeout": 60 }
    })
}

/// Returns where functions reach connections of the relay.
///
/// Functions are in no VPC, so they come through CloudFront.
pub(crate) fn url() -> Value {
    let url = substitute(&format!("https://${{Distribution.DomainName}}{PATH}"));
    json!({ "Fn::If": ["HasRelay", url, ""] })
}

/// Lets the function whose `statements` these are read what it shows to the relay.
pub(crate) fn reaching(statements: &mut Vec<Value>) {
    let reads = json!({
        "Sid": "ReadsWhatTheRelayAsksFor",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": reference("RelaySecret")
    });
    statements.push(only_if("HasRelay", &reads));
}

/// Tells a function where the relay is, by its `variables`.
pub(crate) fn tell(variables: &mut Value) {
    variables["PROCTOR_RELAY_URL"] = only_if("HasRelay", &reference("RelayUrl"));
    variables["PROCTOR_RELAY_SECRET"] = only_if("HasRelay", &reference("RelaySecret"));
}

/// Renders the nested stack.
pub(crate) fn stack() -> Value {
    let mut resources = Map::new();
    resources.extend(network());
    resources.extend(security());
    resources.extend(balancer());
    resources.extend(machine());
    let outputs = json!({
        "Origin": {
            "Description": "The id of the load balancer as CloudFront's origin",
            "Value": attribute("Origin", "Id")
        },
        "Address": { "Description": "The load balancer's name", "Value": attribute("Balancer", "DNSName") }
    });
    template(
        "Proctor: the relay, which holds websockets in API Gateway's place",
        &[
            ("Parameters", parameters::of_the_relay()),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
            ("Outputs", outputs),
        ],
    )
}

fn network() -> Map<String, Value> {
    let mut resources = Map::from_iter([
        (
            "Network".to_owned(),
            json!({
                "Type": "AWS::EC2::VPC",
                "Properties": {
                    "CidrBlock": NETWORK,
                    "EnableDnsSupport": true,
                    "EnableDnsHostnames": true,
                    "Tags": [name()]
                }
            }),
        ),
        // CloudFront wants a network that has one (AWS: "Restrict access with VPC origins").
        ("Gateway".to_owned(), json!({ "Type": "AWS::EC2::InternetGateway", "Properties": { "Tags": [name()] } })),
        (
            "GatewayAttachment".to_owned(),
            json!({
                "Type": "AWS::EC2::VPCGatewayAttachment",
                "Properties": { "VpcId": reference("Network"), "InternetGatewayId": reference("Gateway") }
            }),
        ),
        (
            "OuterRoutes".to_owned(),
            json!({
                "Type": "AWS::EC2::RouteTable",
                "Properties": { "VpcId": reference("Network"), "Tags": [name()] }
            }),
        ),
        (
            "OuterRoute".to_owned(),
            json!({
                "Type": "AWS::EC2::Route",
                "DependsOn": "GatewayAttachment",
                "Properties": {
                    "RouteTableId": reference("OuterRoutes"),
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "GatewayId": reference("Gateway")
                }
            }),
        ),
    ]);
    for (kind, blocks) in [("Inner", INNER), ("Outer", OUTER)] {
        for (place, block) in blocks.into_iter().enumerate() {
            let id = subnet(kind, place);
            resources.insert(
                id.clone(),
                json!({
                    "Type": "AWS::EC2::Subnet",
                    "Properties": {
                        "VpcId": reference("Network"),
                        "CidrBlock": block,
                        "AvailabilityZone": { "Fn::Select": [place, { "Fn::GetAZs": "" }] },
                        "Tags": [name()]
                    }
                }),
            );
            // The inner ones have the network's own routes, none of which leads out.
            if kind == "Outer" {
                resources.insert(
                    format!("{id}Routes"),
                    json!({
                        "Type": "AWS::EC2::SubnetRouteTableAssociation",
                        "Properties": { "SubnetId": reference(&id), "RouteTableId": reference("OuterRoutes") }
                    }),
                );
            }
        }
    }
    resources
}

fn name() -> Value {
    json!({ "Key": "Name", "Value": substitute("proctor-${Stage}-relay") })
}

fn subnet(kind: &str, place: usize) -> String {
    format!("{kind}{}", ["A", "B"][place])
}

fn subnets(kind: &str) -> Vec<Value> {
    (0..2).map(|place| reference(&subnet(kind, place))).collect()
}

/// Declares who may speak to whom: CloudFront to the load balancer, that one to the machine, and the machine to AWS.
fn security() -> Map<String, Value> {
    let tcp = |port: u16, description: &str| {
        json!({
            "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "Description": description
        })
    };
    let rule = |port: u16, description: &str, field: &str, value: Value| {
        let mut rule = tcp(port, description);
        rule[field] = value;
        rule
    };
    let group = |description: &str, ingress: Vec<Value>, egress: Vec<Value>| {
        json!({
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": description,
                "VpcId": reference("Network"),
                "SecurityGroupIngress": ingress,
                "SecurityGroupEgress": egress,
                "Tags": [name()]
            }
        })
    };
    let balancer = group(
        "The load balancer of the relay",
        vec![
            rule(FRONT, "CloudFront", "SourcePrefixListId", reference("RelayPrefixList")),
            rule(FRONT, "The interfaces that CloudFront has in this network", "CidrIp", NETWORK.into()),
        ],
        vec![rule(PORT, "The relay", "CidrIp", NETWORK.into())],
    );
    let machine = group(
        "The machine of the relay",
        vec![rule(PORT, "The load balancer", "SourceSecurityGroupId", attribute("BalancerSecurity", "GroupId"))],
        vec![rule(443, "AWS", "CidrIp", "0.0.0.0/0".into())],
    );
    Map::from_iter([("BalancerSecurity".to_owned(), balancer), ("MachineSecurity".to_owned(), machine)])
}

fn balancer() -> Map<String, Value> {
    let attributes = |values: &[(&str, &str)]| {
        values.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect::<Vec<_>>()
    };
    Map::from_iter([
        (
            "Balancer".to_owned(),
            json!({
                "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
                "Properties": {
                    "Type": "network",
                    "Scheme": "internal",
                    "Subnets": subnets("Inner"),
                    "SecurityGroups": [attribute("BalancerSecurity", "GroupId")],
                    // The machine is in one of the zones alone.
                    "LoadBalancerAttributes": attributes(&[("load_balancing.cross_zone.enabled", "true")]),
                    "Tags": [name()]
                }
            }),
        ),
        (
            "Listener".to_owned(),
            json!({
                "Type": "AWS::ElasticLoadBalancingV2::Listener",
                "Properties": {
                    "LoadBalancerArn": reference("Balancer"),
                    "Port": FRONT,
                    "Protocol": "TCP",
                    "DefaultActions": [{ "Type": "forward", "TargetGroupArn": reference("Targets") }]
                }
            }),
        ),
        (
            "Targets".to_owned(),
            json!({
                "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
                "Properties": {
                    "VpcId": reference("Network"),
                    "Port": PORT,
                    "Protocol": "TCP",
                    "HealthCheckProtocol": "HTTP",
                    "HealthCheckPath": "/health",
                    "HealthCheckIntervalSeconds": 10,
                    "HealthyThresholdCount": 2,
                    "UnhealthyThresholdCount": 3,
                    "TargetGroupAttributes": attributes(&[
                        // The machine tells its clients itself when it ends.
                        ("deregistration_delay.timeout_seconds", "5"),
                        ("preserve_client_ip.enabled", "false"),
                    ]),
                    "Tags": [name()]
                }
            }),
        ),
        (
            "Origin".to_owned(),
            json!({
                "Type": "AWS::CloudFront::VpcOrigin",
                "DependsOn": ["GatewayAttachment", "Listener"],
                "Properties": {
                    "VpcOriginEndpointConfig": {
                        "Name": substitute("proctor-${Stage}-relay"),
                        "Arn": reference("Balancer"),
                        "HTTPPort": FRONT,
                        "HTTPSPort": 443,
                        "OriginProtocolPolicy": "http-only",
                        "OriginSSLProtocols": ["TLSv1.2"]
                    }
                }
            }),
        ),
        (
            "Alarm".to_owned(),
            json!({
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "AlarmDescription": "The relay is not well, or not there: no client of a websocket is connected",
                    "Namespace": "AWS/NetworkELB",
                    "MetricName": "HealthyHostCount",
                    "Dimensions": [
                        { "Name": "LoadBalancer", "Value": attribute("Balancer", "LoadBalancerFullName") },
                        { "Name": "TargetGroup", "Value": attribute("Targets", "TargetGroupFullName") }
                    ],
                    "Statistic": "Maximum",
                    "Period": 300,
                    "EvaluationPeriods": 1,
                    "ComparisonOperator": "LessThanThreshold",
                    "Threshold": 1,
                    "TreatMissingData": "breaching",
                    "AlarmActions": only_if("HasAlarmTopic", &json!([reference("AlarmTopicArn")]))
                }
            }),
        ),
    ])
}

/// Returns the ARN of a function of the websockets.
fn function(route: SocketRoute) -> Value {
    let arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:proctor-${Stage}-";
    substitute(&format!("{arn}{}", route.function()))
}

fn machine() -> Map<String, Value> {
    let allow = |sid: &str, action: &str, resource: Value| {
        json!({
            "Sid": sid, "Effect": "Allow", "Action": [action], "Resource": resource
        })
    };
    let functions: Vec<Value> = SocketRoute::ALL.into_iter().map(function).collect();
    let statements = [
        allow("InvokesTheFunctionsOfTheWebsockets", "lambda:InvokeFunction", functions.into()),
        allow("ReadsItsSecret", "secretsmanager:GetSecretValue", reference("RelaySecret")),
        allow("FetchesItself", "lambda:GetLayerVersion", reference("Binary")),
    ];
    Map::from_iter([
        (
            "Binary".to_owned(),
            json!({
                "Type": "AWS::Lambda::LayerVersion",
                "Properties": {
                    "LayerName": substitute("proctor-${Stage}-relay"),
                    "Description": "The relay's binary, which its machine fetches",
                    "Content": "../../target/lambda/relay"
                }
            }),
        ),
        (
            "Role".to_owned(),
            json!({
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{
                            "Effect": "Allow",
                            "Principal": { "Service": "ec2.amazonaws.com" },
                            "Action": "sts:AssumeRole"
                        }]
                    },
                    "Policies": [{
                        "PolicyName": "access",
                        "PolicyDocument": { "Version": "2012-10-17", "Statement": statements }
                    }]
                }
            }),
        ),
        (
            "Profile".to_owned(),
            json!({ "Type": "AWS::IAM::InstanceProfile", "Properties": { "Roles": [reference("Role")] } }),
        ),
        ("Machine".to_owned(), launch_template()),
        ("Machines".to_owned(), group()),
    ])
}

fn launch_template() -> Value {
    // The image is looked up whenever a machine starts.
    let image = |architecture: &str| {
        format!("resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}")
    };
    json!({
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {
            "LaunchTemplateData": {
                "ImageId": { "Fn::If": ["IsArm", image("arm64"), image("x86_64")] },
                "InstanceType": reference("RelayInstanceType"),
                "IamInstanceProfile": { "Arn": attribute("Profile", "Arn") },
                "MetadataOptions": { "HttpTokens": "required", "HttpPutResponseHopLimit": 1 },
                // The address is for what the machine asks of AWS; its security group lets nobody but the balancer in.
                "NetworkInterfaces": [{
                    "DeviceIndex": 0,
                    "AssociatePublicIpAddress": true,
                    "Groups": [attribute("MachineSecurity", "GroupId")]
                }],
                "BlockDeviceMappings": [{
                    "DeviceName": "/dev/xvda",
                    "Ebs": { "VolumeType": "gp3", "Encrypted": true, "DeleteOnTermination": true }
                }],
                "TagSpecifications": [
                    { "ResourceType": "instance", "Tags": [name()] },
                    { "ResourceType": "volume", "Tags": [name()] }
                ],
                "UserData": { "Fn::Base64": substitute(START) }
            }
        }
    })
}

fn group() -> Value {
    let template = json!({
        "LaunchTemplateId": reference("Machine"),
        "Version": attribute("Machine", "LatestVersionNumber")
    });
    json!({
        "Type": "AWS::AutoScaling::AutoScalingGroup",
        "DependsOn": ["OuterRoute", "OuterARoutes", "OuterBRoutes", "Listener"],
        // The old machine goes first: two of them would call each other's connections gone.
        "UpdatePolicy": { "AutoScalingRollingUpdate": { "MinInstancesInService": 0, "MaxBatchSize": 1 } },
        "Properties": {
            "MinSize": "1",
            "MaxSize": "1",
            "LaunchTemplate": template,
            "VPCZoneIdentifier": subnets("Outer"),
            "TargetGroupARNs": [reference("Targets")],
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 180,
            "InstanceMaintenancePolicy": { "MinHealthyPercentage": 0, "MaxHealthyPercentage": 100 },
            "MaxInstanceLifetime": LIFETIME
        }
    })
}

/// What a machine does when it starts: it fetches the relay, and has systemd keep it running.
const START: &str = include_str!("relay.sh");
