//! The tables of public data sets that are read as they come.

use super::layout::{Kinds, KnownBy, Layout, Users};
use crate::{Format, Role};

/// A table about which nothing is special.
const PLAIN: Layout = Layout {
    format: Format::Csv,
    tabs: false,
    names: &[],
    roles: &[],
    known_by: KnownBy::Rows,
    date: None,
    order: None,
    kinds: Kinds::Spelled,
    users: Users::Named,
    other_category: None,
    no_item: None,
    year: None,
    invoices: false,
};

/// All of them. Of two that fit a file, the first is taken.
pub(super) static LAYOUTS: [Layout; 17] = [
    Layout {
        format: Format::Taobao,
        names: &["user_id", "item_id", "category_id", "behavior_type", "timestamp"],
        roles: &[
            (Role::User, "user_id"),
            (Role::Item, "item_id"),
            (Role::Category, "category_id"),
            (Role::Kind, "behavior_type"),
            (Role::Time, "timestamp"),
        ],
        ..PLAIN
    },
    Layout {
        format: Format::Yoochoose,
        names: &["session_id", "timestamp", "item_id", "category"],
        roles: &[
            (Role::Session, "session_id"),
            (Role::Time, "timestamp"),
            (Role::Item, "item_id"),
            (Role::Category, "category"),
        ],
        kinds: Kinds::Always("click"),
        ..PLAIN
    },
    Layout {
        format: Format::Yoochoose,
        names: &["session_id", "timestamp", "item_id", "price", "quantity"],
        roles: &[
            (Role::Session, "session_id"),
            (Role::Time, "timestamp"),
            (Role::Item, "item_id"),
            (Role::Price, "price"),
            (Role::Quantity, "quantity"),
        ],
        kinds: Kinds::Always("buy"),
        ..PLAIN
    },
    Layout {
        format: Format::Eshop,
        names: &[
            "year",
            "month",
            "day",
            "order",
            "country",
            "session ID",
            "page 1 (main category)",
            "page 2 (clothing model)",
            "colour",
            "location",
            "model photography",
            "price",
            "price 2",
            "page",
        ],
        roles: &[
            (Role::Session, "session ID"),
            (Role::Category, "page 1 (main category)"),
            (Role::Item, "page 2 (clothing model)"),
            (Role::Price, "price"),
        ],
        known_by: KnownBy::Names(&[
            "year",
            "month",
            "day",
            "order",
            "session ID",
            "page 2 (clothing model)",
        ]),
        date: Some(["year", "month", "day"]),
        order: Some("order"),
        kinds: Kinds::Always("click"),
        ..PLAIN
    },
    Layout {
        format: Format::Retailrocket,
        names: &["timestamp", "visitorid", "event", "itemid", "transactionid"],
        roles: &[
            (Role::Time, "timestamp"),
            (Role::User, "visitorid"),
            (Role::Kind, "event"),
            (Role::Item, "itemid"),
        ],
        known_by: KnownBy::Names(&["timestamp", "visitorid", "event", "itemid"]),
        ..PLAIN
    },
    Layout {
        format: Format::Retailrocket,
        tabs: true,
        names: &["timestamp", "user_id", "item_id", "session_id"],
        roles: &[
            (Role::Time, "timestamp"),
            (Role::User, "user_id"),
            (Role::Item, "item_id"),
            (Role::Session, "session_id"),
        ],
        known_by: KnownBy::AllNames,
        ..PLAIN
    },
    Layout {
        format: Format::Rees46,
        names: &[
            "event_time",
            "event_type",
            "product_id",
            "category_id",
            "category_code",
            "brand",
            "price",
            "user_id",
            "user_session",
        ],
        roles: &[
            (Role::Time, "event_time"),
            (Role::Kind, "event_type"),
            (Role::Item, "product_id"),
            (Role::Category, "category_code"),
            (Role::Price, "price"),
            (Role::User, "user_id"),
            (Role::Session, "user_session"),
        ],
        known_by: KnownBy::AllNames,
        other_category: Some("category_id"),
        ..PLAIN
    },
    Layout {
        format: Format::Tmall,
        names: &[
            "user_id",
            "item_id",
            "cat_id",
            "seller_id",
            "brand_id",
            "time_stamp",
            "action_type",
        ],
        roles: &[
            (Role::User, "user_id"),
            (Role::Item, "item_id"),
            (Role::Category, "cat_id"),
            (Role::Time, "time_stamp"),
            (Role::Kind, "action_type"),
        ],
        known_by: KnownBy::Names(&["user_id", "item_id", "cat_id", "time_stamp", "action_type"]),
        kinds: Kinds::Coded(&[("0", "click"), ("1", "cart"), ("2", "buy"), ("3", "favourite")]),
        year: Some(2014),
        ..PLAIN
    },
    Layout {
        format: Format::Tmall,
        names: &["user_id", "brand_id", "type", "visit_datetime"],
        roles: &[
            (Role::User, "user_id"),
            (Role::Item, "brand_id"),
            (Role::Kind, "type"),
            (Role::Time, "visit_datetime"),
        ],
        known_by: KnownBy::AllNames,
        kinds: Kinds::Coded(&[("0", "click"), ("1", "buy"), ("2", "favourite"), ("3", "cart")]),
        year: Some(2013),
        ..PLAIN
    },
    Layout {
        format: Format::Jdata,
        names: &["user_id", "sku_id", "time", "model_id", "type", "cate", "brand"],
        roles: &[
            (Role::User, "user_id"),
            (Role::Item, "sku_id"),
            (Role::Time, "time"),
            (Role::Kind, "type"),
            (Role::Category, "cate"),
        ],
        known_by: KnownBy::AllNames,
        kinds: Kinds::Coded(&[
            ("1", "browse"),
            ("2", "cart"),
            ("3", "uncart"),
            ("4", "buy"),
            ("5", "follow"),
            ("6", "click"),
        ]),
        users: Users::Numbers,
        ..PLAIN
    },
    Layout {
        names: &["sessionId", "userId", "itemId", "timeframe", "eventdate"],
        kinds: Kinds::Always("view"),
        ..DIGINETICA
    },
    Layout {
        names: &["sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId"],
        kinds: Kinds::Always("purchase"),
        ..DIGINETICA
    },
    Layout {
        names: &[
            "InvoiceNo",
            "StockCode",
            "Description",
            "Quantity",
            "InvoiceDate",
            "UnitPrice",
            "CustomerID",
            "Country",
        ],
        roles: &[
            (Role::Session, "InvoiceNo"),
            (Role::Item, "StockCode"),
            (Role::Quantity, "Quantity"),
            (Role::Time, "InvoiceDate"),
            (Role::Price, "UnitPrice"),
            (Role::User, "CustomerID"),
        ],
        known_by: KnownBy::Names(&[
            "InvoiceNo",
            "StockCode",
            "Quantity",
            "InvoiceDate",
            "UnitPrice",
            "CustomerID",
        ]),
        kinds: Kinds::Cancelled("InvoiceNo"),
        ..INVOICES
    },
    Layout {
        names: &[
            "Invoice",
            "StockCode",
            "Description",
            "Quantity",
            "InvoiceDate",
            "Price",
            "Customer ID",
            "Country",
        ],
        roles: &[
            (Role::Session, "Invoice"),
            (Role::Item, "StockCode"),
            (Role::Quantity, "Quantity"),
            (Role::Time, "InvoiceDate"),
            (Role::Price, "Price"),
            (Role::User, "Customer ID"),
        ],
        known_by: KnownBy::Names(&[
            "Invoice",
            "StockCode",
            "Quantity",
            "InvoiceDate",
            "Price",
            "Customer ID",
        ]),
        kinds: Kinds::Cancelled("Invoice"),
        ..INVOICES
    },
    Layout {
        format: Format::Gru4rec,
        tabs: true,
        names: &["SessionId", "ItemId", "Time"],
        roles: &[(Role::Session, "SessionId"), (Role::Item, "ItemId"), (Role::Time, "Time")],
        known_by: KnownBy::AllNames,
        ..PLAIN
    },
    Layout {
        names: &[
            "session_id_hash",
            "event_type",
            "product_action",
            "product_sku_hash",
            "server_timestamp_epoch_ms",
            "hashed_url",
        ],
        roles: &[
            (Role::Session, "session_id_hash"),
            (Role::Kind, "product_action"),
            (Role::Item, "product_sku_hash"),
            (Role::Time, "server_timestamp_epoch_ms"),
        ],
        ..COVEO
    },
    Layout {
        names: &[
            "session_id_hash",
            "event_type",
            "product_action",
            "product_skus_hash",
            "server_timestamp_epoch_ms",
            "hashed_url",
        ],
        roles: &[
            (Role::Session, "session_id_hash"),
            (Role::Kind, "product_action"),
            (Role::Item, "product_skus_hash"),
            (Role::Time, "server_timestamp_epoch_ms"),
        ],
        ..COVEO
    },
];

/// What its two tables share.
const DIGINETICA: Layout = Layout {
    format: Format::Diginetica,
    roles: &[
        (Role::Session, "sessionId"),
        (Role::User, "userId"),
        (Role::Item, "itemId"),
        (Role::Time, "eventdate"),
    ],
    known_by: KnownBy::AllNames,
    order: Some("timeframe"),
    users: Users::Some,
    ..PLAIN
};

/// What Online Retail and Online Retail II share.
const INVOICES: Layout = Layout {
    format: Format::OnlineRetail,
    users: Users::NumbersOrAside("no customer"),
    invoices: true,
    ..PLAIN
};

/// What the data sets of 2020 and 2021 share.
const COVEO: Layout = Layout {
    format: Format::Coveo,
    known_by: KnownBy::AllNames,
    kinds: Kinds::Or("event_type"),
    no_item: Some("a page without a product"),
    ..PLAIN
};
