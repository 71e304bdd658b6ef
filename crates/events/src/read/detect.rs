//! What a file is, by the look of its first lines.

use super::columnar::{ARROW_FILE, ARROW_STREAM, PARQUET};
use super::layout::Layout;
use crate::log::bare;
use crate::{Columns, Format, Role, time};

/// The format of a file with this head, or what it looks like instead.
pub(super) fn detect(head: &[u8], columns: &Columns) -> Result<Format, String> {
    if head.starts_with(PARQUET) {
        return Ok(Format::Parquet);
    }
    if head.starts_with(ARROW_FILE) || head.starts_with(ARROW_STREAM) {
        return Ok(Format::Arrow);
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16 text".to_owned());
    }
    if head.contains(&0) {
        return Err("it is not text".to_owned());
    }
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(100).collect();
    let Some(&first) = lines.first() else {
        return Err("it has no rows".to_owned());
    };
    if !columns.is_empty() {
        let tabs = delimiter(first) == '\t';
        return Ok(if tabs { Format::Tsv } else { Format::Csv });
    }
    if let Some(format) = by_header(first).or_else(|| by_rows(&lines)) {
        return Ok(format);
    }
    let cut: String = first.chars().take(80).collect();
    Err(format!("its first line is {cut:?}"))
}

/// What to do about a head that is nothing known.
pub(super) fn remedy(head: &[u8]) -> String {
    if head.contains(&0) {
        return "give a text file in UTF-8 (`iconv -f UTF-16 -t UTF-8` makes one of UTF-16), Parquet or \
                Arrow"
            .to_owned();
    }
    let names = Format::ALL.map(Format::name).join("|");
    format!("name it with --format {names}, or map its columns with --columns user=U,item=I,time=T")
}

/// The delimiter of a table: the one that its first line has most of.
pub(super) fn delimiter(first: &str) -> char {
    let count = |delimiter| first.matches(delimiter).count();
    // `max_by_key` takes the last of equals, so the comma wins a tie.
    ['|', ';', '\t', ','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(',')
}

/// The place of the column that a role has by the usual names.
pub(super) fn usual_column(header: &[String], role: Role) -> Option<usize> {
    let bare: Vec<String> = header.iter().map(|name| bare(name)).collect();
    role.known_names().iter().find_map(|known| bare.iter().position(|name| name == known))
}

fn by_header(first: &str) -> Option<Format> {
    let delimiter = delimiter(first);
    let header: Vec<String> =
        first.split(delimiter).map(|name| name.trim().trim_matches('"').to_owned()).collect();
    if let Some(layout) = Layout::by_header(&header, delimiter) {
        return Some(layout.format);
    }
    if delimiter == '\t' && is_recbole(&header) {
        return Some(Format::Recbole);
    }
    let usual = |role| usual_column(&header, role).is_some();
    let table = usual(Role::Item) && (usual(Role::User) || usual(Role::Session));
    table.then_some(if delimiter == '\t' { Format::Tsv } else { Format::Csv })
}

/// Whether all names have a type behind a colon, as RecBole's have.
fn is_recbole(header: &[String]) -> bool {
    let typed = |name: &String| {
        let kind = name.split_once(':').map_or("", |(_, kind)| kind);
        ["token", "float", "token_seq", "float_seq"].contains(&kind)
    };
    header.len() >= 2 && header.iter().all(typed)
}

fn by_rows(lines: &[&str]) -> Option<Format> {
    // One odd row among the first hundred does not hide what the others are.
    let most = |is: &dyn Fn(&str) -> bool| {
        let like = lines.iter().filter(|line| is(line)).count();
        like > 0 && 10 * like >= 9 * lines.len()
    };
    if most(&is_otto) {
        return Some(Format::Otto);
    }
    if most(&is_taobao) {
        return Some(Format::Taobao);
    }
    if most(&is_yoochoose) {
        return Some(Format::Yoochoose);
    }
    let blanks = |text: &str| text.trim().contains(char::is_whitespace);
    if most(&is_pair) && lines.iter().any(|line| line.split('\t').next().is_some_and(blanks)) {
        return Some(Format::Pairs);
    }
    (most(&is_session) && lines.iter().any(|line| blanks(line))).then_some(Format::Sessions)
}

fn is_otto(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('{') && line.contains("\"session\"") && line.contains("\"events\"")
}

fn is_taobao(line: &str) -> bool {
    let fields: Vec<&str> = line.trim().split(',').collect();
    fields.len() == 5
        && ["pv", "cart", "fav", "buy"].contains(&fields[3])
        && fields[4].parse::<i64>().is_ok()
}

fn is_yoochoose(line: &str) -> bool {
    let fields: Vec<&str> = line.trim().split(',').collect();
    (fields.len() == 4 || fields.len() == 5)
        && fields[1].contains('T')
        && time::parse_time(fields[1]).is_some()
}

fn is_pair(line: &str) -> bool {
    let mut fields = line.split('\t');
    let (prefix, target) = (fields.next().unwrap_or(""), fields.next().unwrap_or("").trim());
    is_session(prefix)
        && !target.is_empty()
        && is_session(target)
        && fields.next().is_none()
        && !target.contains(char::is_whitespace)
}

/// Whether a line can be ids with blanks between: prose and tables have other signs in them.
fn is_session(line: &str) -> bool {
    let strange = |c: char| ",;|\"'(){}[]<>=\t\u{fffd}".contains(c) || c.is_control();
    !line.trim().is_empty() && !line.trim_end_matches('\r').contains(strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(head: &str) -> Result<Format, String> {
        detect(head.as_bytes(), &Columns::default())
    }

    #[test]
    fn each_layout_is_known_by_its_look() {
        for (format, head) in [
            (Format::Taobao, "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n"),
            (Format::Yoochoose, "832,2014-04-06T20:21:58.444Z,214717095,0\r\n"),
            (Format::Yoochoose, "420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n"),
            (
                Format::Eshop,
                "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing \
                 model);colour;location;model photography;price;price 2;page\n",
            ),
            (Format::Retailrocket, "timestamp,visitorid,event,itemid,transactionid\n"),
            (Format::Retailrocket, "timestamp\tuser_id\titem_id\tsession_id\n"),
            (Format::Csv, "user;item\na;b\n"),
            (Format::Csv, "event_time,event_type,product_id,user_id,user_session\n"),
            (
                Format::Rees46,
                "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,\
                 user_session\n",
            ),
            (Format::Tmall, "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n"),
            (Format::Tmall, "user_id,brand_id,type,visit_datetime\n"),
            (Format::Jdata, "user_id,sku_id,time,model_id,type,cate,brand\n"),
            (Format::Diginetica, "sessionId;userId;itemId;timeframe;eventdate\n"),
            (Format::Diginetica, "session_id;user_id;item_id;timeframe;eventdate\n"),
            (Format::Diginetica, "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n"),
            (
                Format::OnlineRetail,
                "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,\
                 Country\n",
            ),
            (
                Format::OnlineRetail,
                "Invoice;StockCode;Description;Quantity;InvoiceDate;Price;Customer ID;Country\n",
            ),
            (Format::Gru4rec, "SessionId\tItemId\tTime\n"),
            (Format::Tsv, "SessionId\tItemId\tTime\tPrice\n"),
            (Format::Recbole, "user_id:token\titem_id:token\ttimestamp:float\n"),
            (
                Format::Coveo,
                "session_id_hash,event_type,product_action,product_sku_hash,\
                 server_timestamp_epoch_ms,hashed_url\n",
            ),
            (Format::Otto, "{\"session\":1,\"events\":[]}\n"),
            (Format::Csv, "\"Customer ID\",\"Stock Code\"\n"),
            (Format::Sessions, "1 2 3\n4\n5 6\n"),
            (Format::Pairs, "1 2\t3\n1\t2\n"),
        ] {
            assert_eq!(look(head), Ok(format), "{head}");
        }
    }

    #[test]
    fn what_is_nothing_known_is_described() {
        for (head, saw) in [
            ("", "no rows"),
            ("\n\r\n", "no rows"),
            ("1,2,3\n4,5,6\n", "1,2,3"),
            ("{\"session\": 1}\n", "session"),
            ("Dear reader, this is prose; it has commas.\n", "Dear reader"),
            ("1\t2\n3\t4\n", "1\\t2"),
            ("17\n18\n", "17"),
            ("a\0b", "not text"),
        ] {
            let error = look(head).unwrap_err();
            assert!(error.contains(saw), "{head:?}: {error}");
        }
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("user".bytes().flat_map(|b| [b, 0])).collect();
        assert!(detect(&utf16, &Columns::default()).unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn named_columns_make_any_table_a_table() {
        let columns: Columns = "user=1,item=2".parse().unwrap();
        assert_eq!(detect(b"1\t2\n", &columns), Ok(Format::Tsv));
        assert_eq!(detect(b"1;2;3\n", &columns), Ok(Format::Csv));
    }
}
