//! The layouts a log can have, and how a table's columns are named.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::Error;

/// A layout of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A table with commas, semicolons or bars, columns found by their names or by `--columns`.
    #[default]
    Csv,
    /// The same with tabs.
    Tsv,
    /// One session a line, its items with blanks between; the order of the lines is the time.
    Sessions,
    /// `prefix<TAB>target`: one case a line, to be scored and not to be learned from.
    Pairs,
    /// Taobao UserBehavior: `user,item,category,kind,seconds`, no header.
    Taobao,
    /// RecSys 2015: `session,time,item,category`, or `session,time,item,price,quantity` for
    /// purchases; no header.
    Yoochoose,
    /// UCI 553, e-shop clothing 2008: semicolons, a header, a date in three columns and an `order`.
    Eshop,
    /// RetailRocket: `timestamp,visitorid,event,itemid,transactionid`, or the prepared table
    /// `timestamp user_id item_id session_id` with tabs.
    Retailrocket,
    /// REES46, `2019-Oct.csv` and its sisters: `event_time,event_type,product_id,category_id,
    /// category_code,brand,price,user_id,user_session`. The category is the code, or the number where
    /// a row has no code.
    Rees46,
    /// Tmall repeat buyers (IJCAI 2015), `user_log_format1.csv`: `user_id,item_id,cat_id,seller_id,
    /// brand_id,time_stamp,action_type`; and Tmall 2014, `t_alibaba_data.csv`: `user_id,brand_id,
    /// type,visit_datetime`, whose items are brands. Kinds are codes; dates have no year.
    Tmall,
    /// JData 2016, `JData_Action_201602.csv`: `user_id,sku_id,time,model_id,type,cate,brand`. Kinds
    /// are codes; users are written as `266079.0`.
    Jdata,
    /// DIGINETICA (CIKM Cup 2016), semicolons: `sessionId;userId;itemId;timeframe;eventdate` of
    /// `train-item-views.csv` and `sessionId;userId;timeframe;eventdate;ordernumber;itemId` of
    /// `train-purchases.csv`. A session goes by its `timeframe`; most users are `NA`.
    Diginetica,
    /// OTTO, a session a line: `{"session":1,"events":[{"aid":7,"ts":1659304800025,
    /// "type":"clicks"}]}`.
    Otto,
    /// Online Retail (UCI 352): `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,
    /// CustomerID,Country`; and Online Retail II (UCI 502): `Invoice,StockCode,Description,Quantity,
    /// InvoiceDate,Price,Customer ID,Country`. Invoices that begin with `C` are cancellations.
    OnlineRetail,
    /// GRU4Rec's tables, tabs: `SessionId ItemId Time`, times in seconds with fractions.
    Gru4rec,
    /// RecBole's atomic files (`.inter`), tabs and types: `user_id:token item_id:token
    /// timestamp:float`.
    Recbole,
    /// One user a line, first the name and then the items in order: `user item item …`.
    Users,
    /// Coveo 2021, `browsing_train.csv`: `session_id_hash,event_type,product_action,
    /// product_sku_hash,server_timestamp_epoch_ms,hashed_url`, and 2020 with `product_skus_hash`.
    Coveo,
    /// Parquet: columns as those of [`Format::Csv`], and those that stand in the names of folders.
    Parquet,
    /// Arrow IPC, as a file (Feather) or a stream: likewise.
    Arrow,
    /// A folder that [`prepare`](crate::prepare()) has written.
    Prepared,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Csv,
        Self::Tsv,
        Self::Sessions,
        Self::Pairs,
        Self::Taobao,
        Self::Yoochoose,
        Self::Eshop,
        Self::Retailrocket,
        Self::Rees46,
        Self::Tmall,
        Self::Jdata,
        Self::Diginetica,
        Self::Otto,
        Self::OnlineRetail,
        Self::Gru4rec,
        Self::Recbole,
        Self::Users,
        Self::Coveo,
        Self::Parquet,
        Self::Arrow,
        Self::Prepared,
    ];

    /// Whether the layout is a table whose columns can be named.
    pub fn has_columns(self) -> bool {
        !matches!(self, Self::Sessions | Self::Pairs | Self::Users | Self::Otto)
    }

    /// The name that `--format` takes and `inspect` gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Sessions => "sessions",
            Self::Pairs => "pairs",
            Self::Taobao => "taobao",
            Self::Yoochoose => "yoochoose",
            Self::Eshop => "eshop",
            Self::Retailrocket => "retailrocket",
            Self::Rees46 => "rees46",
            Self::Tmall => "tmall",
            Self::Jdata => "jdata",
            Self::Diginetica => "diginetica",
            Self::Otto => "otto",
            Self::OnlineRetail => "online-retail",
            Self::Gru4rec => "gru4rec",
            Self::Recbole => "recbole",
            Self::Users => "users",
            Self::Coveo => "coveo",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Prepared => "prepared",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| Error::Flag {
            flag: "--format",
            value: text.to_owned(),
            reason: format!("expected one of {}", Self::ALL.map(Self::name).join(", ")),
        })
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a column of a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who acted.
    User,
    /// What was acted on.
    Item,
    /// When.
    Time,
    /// View, cart, purchase and so on.
    Kind,
    /// The visit it belongs to.
    Session,
    /// The item's category.
    Category,
    /// Price of one piece.
    Price,
    /// Number of pieces.
    Quantity,
    /// Money of the whole line.
    Amount,
}

impl Role {
    /// All of them, in the order of the flag's documentation.
    pub const ALL: [Self; 9] = [
        Self::User,
        Self::Item,
        Self::Time,
        Self::Kind,
        Self::Session,
        Self::Category,
        Self::Price,
        Self::Quantity,
        Self::Amount,
    ];

    /// The name that `--columns` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
            Self::Time => "time",
            Self::Kind => "kind",
            Self::Session => "session",
            Self::Category => "category",
            Self::Price => "price",
            Self::Quantity => "quantity",
            Self::Amount => "amount",
        }
    }

    /// Header names that are taken for this role without being asked, in order of preference, in
    /// small letters and without blanks, underscores and the like.
    pub(crate) fn known_names(self) -> &'static [&'static str] {
        match self {
            Self::User => &[
                "user",
                "userid",
                "visitorid",
                "visitor",
                "customerid",
                "customer",
                "clientid",
                "uid",
                "userpseudoid",
            ],
            Self::Item => {
                &["item", "itemid", "productid", "product", "sku", "stockcode", "articleid", "aid"]
            }
            Self::Time => &[
                "time",
                "timestamp",
                "eventtime",
                "eventtimestamp",
                "datetime",
                "ts",
                "date",
                "timestampms",
                "invoicedate",
            ],
            Self::Kind => &[
                "kind",
                "event",
                "eventtype",
                "eventname",
                "behavior",
                "behaviour",
                "behaviortype",
                "action",
                "type",
            ],
            Self::Session => &["session", "sessionid", "usersession", "visitid", "visit"],
            Self::Category => &["category", "categoryid", "categorycode"],
            Self::Price => &["price", "unitprice"],
            Self::Quantity => &["quantity", "qty"],
            Self::Amount => &["amount", "linetotal", "total"],
        }
    }
}

/// `--columns user=U,item=I,…`: which column of a table is for what.
///
/// A column is named by its header. Where all are whole numbers and the first line holds none of
/// them, they are positions counted from 1 and the table has no header. [`Columns::NONE`] is no column:
/// the role is left out, also where the header or the layout has one for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    names: [Option<String>; Role::ALL.len()],
}

impl Columns {
    /// What stands for no column at all.
    pub const NONE: &str = "-";

    /// The column that was named for a role, [`Columns::NONE`] where it is to have none.
    pub fn get(&self, role: Role) -> Option<&str> {
        self.names[role as usize].as_deref()
    }

    /// Names the column for a role.
    pub fn set(&mut self, role: Role, column: &str) {
        self.names[role as usize] = Some(column.to_owned());
    }

    /// The columns that were named, in the order of the roles.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &str)> {
        Role::ALL.into_iter().filter_map(|role| Some((role, self.get(role)?)))
    }

    /// Whether no column was named; roles that are to have none do not count.
    pub fn is_empty(&self) -> bool {
        self.names.iter().flatten().all(|name| name == Self::NONE)
    }
}

impl FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Flag {
            flag: "--columns",
            value: text.to_owned(),
            reason: format!(
                "{reason}; expected user=U,item=I,time=T,kind=K,session=S,category=C,price=P,quantity=Q,amount=A"
            ),
        };
        let mut columns = Self::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (role, column) =
                part.split_once('=').ok_or_else(|| refuse(format!("{part:?} has no `=`")))?;
            let role = Role::ALL
                .into_iter()
                .find(|known| known.name() == role.trim())
                .ok_or_else(|| refuse(format!("{:?} is no role of a column", role.trim())))?;
            if column.trim().is_empty() {
                return Err(refuse(format!("{} names no column", role.name())));
            }
            if role == Role::Item && column.trim() == Self::NONE {
                return Err(refuse("there is no event without an item".to_owned()));
            }
            if columns.get(role).is_some() {
                return Err(refuse(format!("{} is named twice", role.name())));
            }
            columns.set(role, column.trim());
        }
        Ok(columns)
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (role, column)) in self.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{}={column}", role.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
        }
        let error = "json".parse::<Format>().unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("--format") && error.to_string().contains("csv, tsv"));
    }

    #[test]
    fn columns_are_read_and_written_alike() {
        let text = "user=who,item=page 2 (clothing model),time=when";
        let columns: Columns = text.parse().unwrap();
        assert_eq!(columns.get(Role::Item), Some("page 2 (clothing model)"));
        assert_eq!(columns.get(Role::Session), None);
        assert_eq!(columns.to_string(), text);
    }

    #[test]
    fn wrong_columns_say_what_is_wrong() {
        for (text, part) in [
            ("user", "has no `=`"),
            ("buyer=a", "\"buyer\" is no role"),
            ("user=", "names no column"),
            ("item=-", "no event without an item"),
            ("user=a,user=b", "named twice"),
        ] {
            let error = text.parse::<Columns>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(part), "{error}");
        }
    }
}
