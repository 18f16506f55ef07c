//! What tells of costs: a budget, whose notifications are the alarm.
//!
//! CloudWatch has the account's charges (`AWS/Billing`) in us-east-1 alone, and only where somebody switched that on.
//! Budgets do without either, and also tell what the month is forecast to cost.

use serde_json::{Map, Value, json};

use crate::{only_if, reference, substitute};

/// When an e-mail is sent: (what is compared with the budget, percent of it).
const NOTIFICATIONS: [(&str, u32); 3] = [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)];

/// Declares the budget, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let notifications = NOTIFICATIONS.map(|(kind, percent)| {
        json!({
            "Notification": {
                "NotificationType": kind,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": percent,
                "ThresholdType": "PERCENTAGE"
            },
            "Subscribers": [{ "SubscriptionType": "EMAIL", "Address": reference("BudgetEmail") }]
        })
    });
    let budget = json!({
        "Type": "AWS::Budgets::Budget",
        "Condition": "HasBudget",
        "Properties": {
            "Budget": {
                // An account has its budgets once, whatever the region.
                "BudgetName": substitute("proctor-${Stage}-${AWS::Region}"),
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": { "Amount": reference("MonthlyBudget"), "Unit": "USD" },
                "CostFilters": only_if("HasBudgetTag", &json!({ "TagKeyValue": [reference("BudgetTag")] }))
            },
            "NotificationsWithSubscribers": notifications
        }
    });
    Map::from_iter([("Budget".to_owned(), budget)])
}
