//! The page in the cloud: Prefect's interfaces, our own views and `/docs`, in a private bucket behind CloudFront.
//!
//! `proctor page` makes the files ready, and the AWS command line uploads them: they are Prefect's, and no part of a
//! template. `docs/decisions/0014-the-page-in-the-cloud.md` says why it is so.

use common::{
    http::ui::{DOCS_POLICY, VIEWS_POLICY, content_security_policy},
    settings::PageSettings,
};
use serde_json::{Map, Value, json};

use crate::{attribute, reference, substitute};

/// The id of the bucket as an origin of CloudFront.
pub(crate) const BUCKET: &str = "page";

/// The id of the group of origins that asks the HTTP API for what is not in the bucket, which says so in JSON.
pub(crate) const BUCKET_OR_API: &str = "page-or-api";

/// The managed policy `CachingOptimized`: as long as the file says, compressed (AWS: "Use managed cache policies").
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// The files beside the folders `assets`, `ico` and `fonts`, by their paths.
///
/// `tests/infra` holds them against what is uploaded.
const FILES: [&str; 20] = [
    "/index.html",
    "/robots.txt",
    "/decorative_iso-pixel-grid_dark.svg",
    "/decorative_iso-pixel-grid_light.svg",
    "/marketing-banner-bg-dark.svg",
    "/marketing-banner-bg-light.svg",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/docs/start.js",
    "/v2/index.html",
    "/v2/mockServiceWorker.js",
    "/v2/marketing-banner-bg-dark.svg",
    "/v2/marketing-banner-bg-light.svg",
    "/v2/cancelled.svg",
    "/v2/completed.svg",
    "/v2/crashed.svg",
    "/v2/failed.svg",
    "/v2/pending.svg",
    "/v2/running.svg",
    "/v2/scheduled.svg",
];

/// The paths below which there are files alone.
const FOLDERS: [&str; 5] = ["/assets/*", "/ico/*", "/v2/assets/*", "/v2/ico/*", "/v2/fonts/*"];

/// Every method, also those that the function at the edge refuses: what CloudFront refuses is not in JSON.
pub(crate) const ALL_METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];

/// Declares the bucket, and what CloudFront needs to serve it, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let settings = PageSettings {
        allowed_sources: "${PageSources}".into(),
        frame_ancestors: "${PageFrameAncestors}".into(),
        ..PageSettings::default()
    };
    let interfaces = substitute(&content_security_policy(&settings));
    // Other pages than none and one's own are named in the policy alone.
    let frames = json!({ "Fn::If": ["FramesNothing", frame("DENY"), { "Fn::If": [
        "FramesItself", frame("SAMEORIGIN"), { "Ref": "AWS::NoValue" }
    ] }] });
    Map::from_iter([
        ("PageBucket".to_owned(), bucket()),
        ("PageBucketPolicy".to_owned(), bucket_policy()),
        ("PageAccess".to_owned(), access()),
        ("PageRequest".to_owned(), function()),
        ("PageHeaders".to_owned(), headers("page", &interfaces, "same-origin", &frames)),
        ("DocsHeaders".to_owned(), headers("docs", &DOCS_POLICY.into(), "no-referrer", &frame("DENY"))),
        ("ViewsHeaders".to_owned(), headers("views", &VIEWS_POLICY.into(), "no-referrer", &frame("DENY"))),
    ])
}

/// Returns the bucket as an origin.
pub(crate) fn origin() -> Value {
    json!({
        "Id": BUCKET,
        "DomainName": attribute("PageBucket", "RegionalDomainName"),
        "OriginAccessControlId": attribute("PageAccess", "Id"),
        "S3OriginConfig": { "OriginAccessIdentity": "" }
    })
}

/// Returns the groups of origins: the bucket, and then `api` for what is not there.
pub(crate) fn origin_groups(api: &str) -> Value {
    json!({
        "Quantity": 1,
        "Items": [{
            "Id": BUCKET_OR_API,
            // Who may read single objects alone is told 403 of one that is not there.
            "FailoverCriteria": { "StatusCodes": { "Quantity": 2, "Items": [403, 404] } },
            "Members": { "Quantity": 2, "Items": [{ "OriginId": BUCKET }, { "OriginId": api }] }
        }]
    })
}

/// Returns the behaviours of the page's paths that are not like all others.
pub(crate) fn behaviours() -> Vec<Value> {
    let mut behaviours =
        vec![at("/docs", behaviour(BUCKET, "DocsHeaders")), at("/proctor/*", behaviour(BUCKET_OR_API, "ViewsHeaders"))];
    behaviours.extend(FOLDERS.map(|folder| at(folder, behaviour(BUCKET_OR_API, "PageHeaders"))));
    behaviours
}

/// Returns the behaviour of all paths that have no other.
pub(crate) fn default_behaviour() -> Value {
    behaviour(BUCKET, "PageHeaders")
}

fn at(path: &str, mut behaviour: Value) -> Value {
    behaviour["PathPattern"] = path.into();
    behaviour
}

fn behaviour(origin: &str, headers: &str) -> Value {
    // CloudFront takes no other methods where it may ask a second origin.
    let methods = if origin == BUCKET_OR_API { &ALL_METHODS[..2] } else { &ALL_METHODS };
    json!({
        "TargetOriginId": origin,
        "ViewerProtocolPolicy": "redirect-to-https",
        "AllowedMethods": methods,
        "Compress": true,
        "CachePolicyId": CACHING_OPTIMIZED,
        "ResponseHeadersPolicyId": reference(headers),
        "FunctionAssociations": [
            { "EventType": "viewer-request", "FunctionARN": attribute("PageRequest", "FunctionMetadata.FunctionARN") }
        ]
    })
}

/// Declares the bucket, which the command that uploads can fill again at any time.
fn bucket() -> Value {
    json!({
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true,
                "BlockPublicPolicy": true,
                "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true
            },
            "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }
                ]
            },
            "LifecycleConfiguration": {
                "Rules": [{
                    "Id": "ForgetsUnfinishedUploads",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 }
                }]
            }
        }
    })
}

/// Lets this distribution alone read what is in the bucket, and nobody do anything without TLS.
fn bucket_policy() -> Value {
    let objects = substitute("${PageBucket.Arn}/*");
    let distribution = "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}";
    json!({
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": reference("PageBucket"),
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "ShowsThePage",
                        "Effect": "Allow",
                        "Principal": { "Service": "cloudfront.amazonaws.com" },
                        "Action": "s3:GetObject",
                        "Resource": objects,
                        "Condition": { "StringEquals": { "AWS:SourceArn": substitute(distribution) } }
                    },
                    {
                        "Sid": "RefusesWhatCanBeOverheard",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [attribute("PageBucket", "Arn"), objects],
                        "Condition": { "Bool": { "aws:SecureTransport": "false" } }
                    }
                ]
            }
        }
    })
}

/// Declares how CloudFront shows the bucket who it is.
fn access() -> Value {
    json!({
        "Type": "AWS::CloudFront::OriginAccessControl",
        "Properties": {
            "OriginAccessControlConfig": {
                "Name": substitute("proctor-${Stage}-page"),
                "Description": "CloudFront reads the page's bucket",
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4"
            }
        }
    })
}

/// Declares the function at the edge that redirects, refuses, and chooses the file.
fn function() -> Value {
    let files = FILES.map(|file| format!("\n  '{file}'")).join(",");
    let code = include_str!("page.js").replace("{files}", &format!("[{files}\n]"));
    json!({
        "Type": "AWS::CloudFront::Function",
        "Properties": {
            "Name": substitute("proctor-${Stage}-page"),
            "AutoPublish": true,
            "FunctionCode": substitute(&code),
            "FunctionConfig": { "Comment": "Redirects, and the file of a path", "Runtime": "cloudfront-js-2.0" }
        }
    })
}

/// Declares what browsers are told with each file.
fn headers(name: &str, policy: &Value, referrer: &str, frames: &Value) -> Value {
    json!({
        "Type": "AWS::CloudFront::ResponseHeadersPolicy",
        "Properties": {
            "ResponseHeadersPolicyConfig": {
                "Name": substitute(&format!("proctor-${{Stage}}-{name}")),
                "SecurityHeadersConfig": {
                    "ContentSecurityPolicy": { "ContentSecurityPolicy": policy, "Override": true },
                    "ContentTypeOptions": { "Override": true },
                    "FrameOptions": frames,
                    "ReferrerPolicy": { "ReferrerPolicy": referrer, "Override": true }
                }
            }
        }
    })
}

fn frame(option: &str) -> Value {
    json!({ "FrameOption": option, "Override": true })
}
