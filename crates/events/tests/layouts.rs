//! The layouts of public data sets: what each takes for an event, what it leaves aside, what is bad.
//! The rows are made up; only their form is that of the data sets.

mod logs;

use events::{
    Error, Format, Further, Kind, Log, ReadOptions, SessionOptions, SessionRule, Sessions,
};
use logs::{accounted, bad, events, named, sessions, take, take_as, try_read};

fn further(labels: &[&str], numbers: &[&str]) -> Further {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Further { labels: owned(labels), numbers: owned(numbers) }
}

/// The words of the first further column, `-` where a row has none.
fn words(log: &Log) -> Vec<&str> {
    let column = &log.labels[0];
    let name = |&id: &u32| if id == events::NONE { "-" } else { column.names.get(id) };
    column.values.iter().map(name).collect()
}

fn kinds(log: &Log) -> Vec<Kind> {
    (0..log.events.len()).map(|event| log.kind(event)).collect()
}

#[test]
fn rees46_has_a_category_by_code_or_by_number() {
    let header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,\
                  user_session\n";
    let text = format!(
        "{header}2019-10-01 00:00:00 UTC,view,p,77,toys.cars,acme,3.5,u,s1\n\
         2019-10-01 00:00:02 UTC,purchase,q,78,,,,u,s1\n\
         2019-10-01 00:00:03 UTC,view,q,78,,,1,u,\n"
    );
    let log = take_as(Format::Rees46, &text);
    assert_eq!(events(&log)[0], "u p view 2019-10-01T00:00:00Z");
    assert_eq!(log.categories.iter().collect::<Vec<_>>(), ["toys.cars", "78"]);
    assert_eq!((sessions(&log), bad(&log)), (vec!["p q".into()], vec![(4, "no session")]));
    let options = ReadOptions { further: further(&["brand"], &["price"]), ..named(Format::Rees46) };
    let log = try_read(&text, &options).unwrap();
    assert_eq!((words(&log), log.numbers[0].values[0]), (vec!["acme", "-"], 3.5));
    assert_eq!(log.report.unused, [""; 0]);
}

#[test]
fn tmall_has_codes_for_kinds_and_dates_without_a_year() {
    let header = "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n";
    let rows = "u,a,c,1,9,829,0\nu,b,c,1,,1111,1\nu,a,c,1,9,1111,2\nu,a,c,1,9,0512,3\n";
    let log = take(format!("{header}{rows}"));
    assert_eq!(log.report.format, Format::Tmall);
    assert_eq!(
        events(&log),
        [
            "u a click 2014-08-29T00:00:00Z",
            "u b cart 2014-11-11T00:00:00Z",
            "u a buy 2014-11-11T00:00:00Z",
            "u a favourite 2014-05-12T00:00:00Z",
        ]
    );
    assert_eq!(kinds(&log), [Kind::View, Kind::Cart, Kind::Purchase, Kind::Favourite]);
    assert!(log.report.notes[0].contains("2014 is assumed; --year"), "{:?}", log.report.notes);

    // Without its header, in another year; brands and sellers by the names that the header would have.
    let options = ReadOptions {
        year: Some(2016),
        further: further(&["brand_id"], &["seller_id"]),
        ..named(Format::Tmall)
    };
    let log =
        try_read(format!("{rows}u,a,c,1,9,229,0\nu,a,c,1,9,230,0\nu,a,c,1,9,1111,7\n"), &options);
    let log = log.unwrap();
    assert_eq!(events(&log)[4], "u a click 2016-02-29T00:00:00Z");
    assert_eq!(words(&log), ["9", "-", "9", "9", "9"]);
    assert_eq!(bad(&log), [(6, "time not understood"), (7, "unknown code of a kind")]);
    assert!(log.report.notes.is_empty());
}

/// The older table counts kinds otherwise, its items are brands, and its dates are in words whose
/// encoding does not matter.
#[test]
fn tmall_of_2014_spells_its_dates_in_chinese() {
    let head = "user_id,brand_id,type,visit_datetime\nu,a,0,6月4日\nu,b,1,12月31日\n";
    let gbk = [head.as_bytes(), b"u,c,2,6\xd4\xc25\xc8\xd5\nu,c,3,13\xd4\xc25\xc8\xd5\n"].concat();
    let log = take_as(Format::Tmall, gbk);
    assert_eq!(
        events(&log),
        [
            "u a click 2013-06-04T00:00:00Z",
            "u b buy 2013-12-31T00:00:00Z",
            "u c favourite 2013-06-05T00:00:00Z",
        ]
    );
    assert_eq!(bad(&log), [(5, "time not understood")]);
}

#[test]
fn jdata_has_six_kinds_and_users_that_are_numbers() {
    let rows: String = (1..=7)
        .map(|code| format!("266079.0,{code}00,2016-02-01 23:59:0{code},,{code},8,885\n"))
        .collect();
    let header = "user_id,sku_id,time,model_id,type,cate,brand\n";
    let log =
        take_as(Format::Jdata, format!("{header}{rows}266079,1,2016-02-02 00:00:00,,6,8,1\n"));
    assert_eq!((log.users.len(), log.users.get(0), log.categories.len()), (1, "266079", 1));
    let all: Vec<_> = log.kinds.iter().collect();
    assert_eq!(all, ["browse", "cart", "uncart", "buy", "follow", "click"]);
    assert_eq!(
        kinds(&log)[..6],
        [Kind::View, Kind::Cart, Kind::Uncart, Kind::Purchase, Kind::Favourite, Kind::View]
    );
    assert_eq!(bad(&log), [(8, "unknown code of a kind")]);
}

#[test]
fn diginetica_goes_by_timeframe_and_knows_few_users() {
    let views = "sessionId;userId;itemId;timeframe;eventdate\n1;NA;b;2000;2016-05-09\n\
                 1;NA;a;1000;2016-05-09\n2;7;c;5;2016-05-09\n";
    let log = take(views);
    assert_eq!(
        (log.report.format, sessions(&log)),
        (Format::Diginetica, vec!["a b".into(), "c".into()])
    );
    assert_eq!(events(&log)[2], "7 c view 2016-05-09T00:00:00Z");
    assert_eq!(log.users.len(), 1);
    // Those whom nobody knows are not one user.
    let options = SessionOptions { rule: SessionRule::User, ..SessionOptions::default() };
    assert_eq!(Sessions::from_log(&log, &options).unwrap().len(), 2);

    let buys = "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n2;7;9;2016-05-09;1;c\n";
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.csv"), views).unwrap();
    std::fs::write(folder.path().join("b.csv"), buys).unwrap();
    let log = events::read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!(sessions(&log), ["a b", "c c"]);
    assert_eq!(kinds(&log)[2..], [Kind::View, Kind::Purchase]);
}

#[test]
fn otto_counts_each_event_as_a_row() {
    let good = r#"{"session":5,"events":[{"aid":18446744073709551616999,"ts":1659304800025,"type":"clicks"},{"type":"orders","ts":"1659304900","aid":"a\u0042","x":[1]}]}"#;
    let odd = r#"{"events":[{"aid":1,"ts":9,"type":"carts"},{"aid":null,"ts":1,"type":"x"},7,{"aid":1,"ts":{},"type":"x"},["a",1,"b"],{"aid":1,"ts":1}],"session":"six"}"#;
    let empty = r#"{"session":7,"events":[]}"#;
    let log =
        take_as(Format::Otto, format!("{good}\n{odd}\n\n{empty}\n[1,[]]\n{{\"session\":1}}\n"));
    assert_eq!(
        events(&log),
        [
            "18446744073709551616999 clicks 2022-07-31T22:00:00.025Z",
            "aB orders 2022-07-31T22:01:40Z",
            "1 carts 1970-01-01T00:00:09Z",
        ]
    );
    assert_eq!((log.report.rows, accounted(&log)), (11, 11));
    assert_eq!(log.sessions.iter().collect::<Vec<_>>(), ["5", "six"]);
    assert_eq!(
        bad(&log),
        [
            (2, "no item"),
            (2, "not an event"),
            (2, "time not understood"),
            (2, "not an event"),
            (2, "not an event"),
            (4, "a session without events"),
            (5, "not a session"),
            (6, "not a session"),
        ]
    );
    // One event of a session can lie outside, and the next inside.
    let window =
        events::Window::parse(Some("2022-07-31T22:01:00Z"), None, &Default::default()).unwrap();
    let log = try_read(good, &ReadOptions { window, ..ReadOptions::default() }).unwrap();
    assert_eq!((log.report.format, log.report.outside, log.events.len()), (Format::Otto, 1, 1));
}

#[test]
fn online_retail_leaves_aside_what_no_customer_did() {
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let rows = "536365,85123A,\"LANTERN, WHITE\",6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n\
                C536379,D,Discount,-1,12/1/2010 9:41,27.5,14527,United Kingdom\n\
                536414,22139,,56,12/1/2010 11:52,0,,United Kingdom\n\
                536415,22139,gift,1,12/1/2010 11:53,0,12,United Kingdom\n\
                536416,22139,broken,-3,12/13/2010 11:53,0,12,France\n\
                A563185,B,Adjust bad debt,1,12/13/2010 14:50,-11062.06,12,France\n";
    let options = ReadOptions { max_bad: 0.0, ..ReadOptions::default() };
    let log = try_read(format!("{header}{rows}"), &options).unwrap();
    assert_eq!(
        events(&log),
        [
            "17850 85123A purchase 2010-12-01T08:26:00Z",
            "14527 D cancellation 2010-12-01T09:41:00Z",
            "12 22139 purchase 2010-12-01T11:53:00Z",
        ]
    );
    assert_eq!(log.events.amount, [15.3, -27.5, 0.0]);
    assert_eq!(
        log.report.aside,
        [("no customer", 1), ("a correction of the stock", 1), ("a correction of the books", 1)]
    );
    assert_eq!((log.report.rows, accounted(&log)), (6, 6));
    // A later row has told that months stand first.
    assert!(log.report.notes.is_empty());

    // Online Retail II, and its country.
    let header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n";
    let options = ReadOptions { further: further(&["Country"], &[]), ..ReadOptions::default() };
    let log = try_read(format!("{header}{rows}"), &options).unwrap();
    assert_eq!((log.report.format, words(&log)), (Format::OnlineRetail, vec!["United Kingdom"; 3]));
}

#[test]
fn gru4rec_has_seconds_with_fractions() {
    let log = take("SessionId\tItemId\tTime\n1\ta\t1396861869.277\n1\tb\t1396861870.0\n");
    assert_eq!((log.report.format, sessions(&log)), (Format::Gru4rec, vec!["a b".into()]));
    assert_eq!(events(&log)[0], "a 2014-04-07T09:11:09.277Z");
}

#[test]
fn recbole_has_types_behind_its_names() {
    let text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\ttags:token_seq\n\
                u\ta\t4.5\t1396861869.0\tred big\nu\tb\t2\t1396861870\t\n";
    let options = ReadOptions {
        further: further(&["tags"], &["rating", "rating:float"]),
        ..ReadOptions::default()
    };
    let log = try_read(text, &options).unwrap();
    assert_eq!(log.report.format, Format::Recbole);
    assert_eq!(events(&log), ["u a 2014-04-07T09:11:09Z", "u b 2014-04-07T09:11:10Z"]);
    assert_eq!(
        (words(&log), log.numbers[1].values.clone()),
        (vec!["red big", "-"], vec![4.5, 2.0])
    );
    assert_eq!(
        log.report.columns.to_string(),
        "user=user_id:token,item=item_id:token,time=timestamp:float"
    );

    // Rows that are cases cut from a sequence are no events.
    let cases = "session_id:token\titem_id_list:token_seq\titem_id:token\n1\ta b\tc\n";
    let error = try_read(cases, &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::Lists { column, .. } if column == "item_id_list:token_seq"),
        "{error}"
    );
    let log = take("session_id:token\titem_id:token\n1\ta\n1\tc\n");
    assert_eq!(sessions(&log), ["a c"]);
}

#[test]
fn users_are_named_and_have_one_sequence_each() {
    let log = take_as(Format::Users, "1 a b c\n2 b\n\n3\n1 d\n");
    assert_eq!(sessions(&log), ["a b c d", "b"]);
    assert_eq!((log.users.len(), bad(&log)), (2, vec![(4, "no item after the user")]));
    let split = events::Split::LeaveLastOut;
    let options = split.session_options(SessionOptions::default(), &log);
    let parts = split.apply(&Sessions::from_log(&log, &options).unwrap(), 1).unwrap();
    // The one who has a single item is asked nothing.
    assert_eq!(parts.test.len(), 1);
    let window = events::Window::parse(Some("2020-01-01"), None, &Default::default()).unwrap();
    let error = try_read("1 a\n", &ReadOptions { window, ..named(Format::Users) }).unwrap_err();
    assert!(matches!(error, Error::NoTimes { .. }), "{error}");
}

#[test]
fn coveo_has_pages_that_are_no_products() {
    let text = "session_id_hash,event_type,product_action,product_sku_hash,\
                server_timestamp_epoch_ms,hashed_url\n\
                s,pageview,,,1550885210881,u1\ns,event_product,detail,a,1550885211881,u2\n\
                s,event_product,add,a,1550885212881,u2\ns,event_product,purchase,a,1550885213881,u3\n\
                s,event_product,remove,b,1550885214881,u3\ns,event_product,,b,1550885214882,u3\n";
    let log = take(text);
    assert_eq!(kinds(&log), [Kind::View, Kind::Cart, Kind::Purchase, Kind::Uncart, Kind::Other]);
    assert_eq!(log.kinds.get(4), "event_product");
    assert_eq!(log.report.aside, [("a page without a product", 1)]);

    // Whoever wants pages has them as items.
    let columns = "item=hashed_url".parse().unwrap();
    let log = try_read(text, &ReadOptions { columns, ..named(Format::Coveo) }).unwrap();
    assert_eq!(
        (log.events.len(), events(&log)[0].as_str()),
        (6, "u1 pageview 2019-02-23T01:26:50.881Z")
    );
}

/// Further columns of layouts without a header go by the names that the documentation gives them.
#[test]
fn further_columns_of_headerless_layouts_have_known_names() {
    for (format, text, name) in [
        (Format::Taobao, "7,a,c1,pv,1511544070\n", "category_id"),
        (Format::Yoochoose, "1,2014-04-07T10:51:09.277Z,a,c1\n", "category"),
        (Format::Eshop, "2008;4;1;1;29;1;1;A;c1;5;1;28;2;1\n", "colour"),
        (Format::Retailrocket, "1433221332117,25,view,355,c1\n", "transactionid"),
        (Format::Jdata, "2,3,2016-02-01 00:00:00,c1,1,2,3\n", "model_id"),
    ] {
        let options = ReadOptions { further: further(&[name], &[]), ..named(format) };
        let log = try_read(text, &options).unwrap();
        assert_eq!(words(&log), ["c1"], "{format}");
        let options = ReadOptions { further: further(&["size"], &[]), ..named(format) };
        let error = try_read(text, &options).unwrap_err().to_string();
        assert!(error.contains("no column \"size\"") && error.contains(name), "{error}");
    }
    for (format, text) in
        [(Format::Users, "1 a\n"), (Format::Otto, "{}\n"), (Format::Sessions, "a b\n")]
    {
        let options = ReadOptions { further: further(&["size"], &[]), ..named(format) };
        let error = try_read(text, &options).unwrap_err();
        assert!(matches!(error, Error::NoFurtherColumn { .. }), "{error}");
    }
}
