//! Parquet and Arrow files as other programs write them, whole and broken.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field};
use events::time::format_time;
use events::{Error, Format, Further, Log, NONE, Progress, ReadOptions, read, read_watched};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

fn batch() -> RecordBatch {
    let user: ArrayRef = Arc::new(Int64Array::from(vec![7, 7, i64::MAX]));
    let item: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let time: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![1_500_000, 2_000_000, 0]).with_timezone("+02:00"),
    );
    let kind: ArrayRef =
        Arc::new(["view", "view", "buy"].into_iter().collect::<DictionaryArray<Int32Type>>());
    let price: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.5), Some(1.0), None]));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![0, 1, 2]));
    // An id with a hole, as pandas writes it.
    let brand: ArrayRef = Arc::new(Float64Array::from(vec![Some(12.0), None, None]));
    RecordBatch::try_from_iter([
        ("user_id", user),
        ("item_id", item),
        ("timestamp", time),
        ("event", kind),
        ("price", price),
        ("day", day),
        ("brand", brand),
    ])
    .unwrap()
}

fn write_parquet(path: &Path, batch: &RecordBatch, compression: Compression) {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn arrow_bytes(batch: &RecordBatch, stream: bool) -> Vec<u8> {
    packed_arrow_bytes(batch, stream, None)
}

fn packed_arrow_bytes(
    batch: &RecordBatch,
    stream: bool,
    compression: Option<CompressionType>,
) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let schema = batch.schema();
    if stream {
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
        return writer.into_inner().unwrap();
    }
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn lenient() -> ReadOptions {
    let further = Further { labels: vec!["brand".to_owned()], numbers: vec![] };
    ReadOptions { max_bad: 1.0, further, ..ReadOptions::default() }
}

fn check(log: &Log) {
    assert_eq!((log.report.rows, log.report.bad.count), (3, 1));
    assert_eq!(log.report.bad.reasons, [("no item", 1)]);
    assert_eq!(log.report.bad.first[0].line, 2);
    assert_eq!(log.users.iter().collect::<Vec<_>>(), ["7", "9223372036854775807"]);
    assert_eq!(log.items.iter().collect::<Vec<_>>(), ["a", "b"]);
    let times: Vec<_> = log.events.time.iter().map(|&time| format_time(time)).collect();
    assert_eq!(times, ["1970-01-01T00:00:01.5Z", "1970-01-01T00:00:00Z"]);
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["view", "buy"]);
    assert!(log.events.price[0] == 2.5 && log.events.price[1].is_nan());
    let brand = &log.labels[0];
    assert_eq!((brand.names.get(0), &brand.values[..]), ("12", &[0, NONE][..]));
    assert_eq!(log.report.unused, ["day"]);
}

#[test]
fn every_way_to_write_the_table_is_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    for (number, compression) in compressions.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.parquet"));
        write_parquet(&path, &batch(), compression);
        let (size, mut last) = (path.metadata().unwrap().len(), None);
        let log = read_watched(&[path], &lenient(), &mut |so_far| last = Some(so_far)).unwrap();
        assert_eq!(log.report.format, Format::Parquet);
        assert_eq!(last, Some(Progress::Reading { bytes: size, of: Some(size), events: 2 }));
        check(&log);
    }
    // Feather as pandas writes it is packed with LZ4.
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for stream in [false, true] {
            let path = folder.path().join("table.arrow");
            fs::write(&path, packed_arrow_bytes(&batch(), stream, compression)).unwrap();
            let log = read(&[path], &lenient()).unwrap();
            assert_eq!(log.report.format, Format::Arrow);
            check(&log);
        }
    }
}

#[test]
fn times_without_a_zone_are_of_the_one_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let options = ReadOptions { zone: "Asia/Shanghai".parse().unwrap(), ..lenient() };
    let local: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 2_000_000, 28_800_000_000]));
    let words: ArrayRef =
        Arc::new(StringArray::from(vec!["1970-01-01 00:00:01.5", "", "1970/1/1 8:00"]));
    for times in [local, words] {
        let mut columns = batch().columns().to_vec();
        columns[2] = times;
        let schema = batch().schema();
        let fields = schema.fields().iter().zip(&columns);
        let table = fields.map(|(field, column)| (field.name().clone(), column.clone()));
        write_parquet(&path, &RecordBatch::try_from_iter(table).unwrap(), Compression::SNAPPY);
        let log = read(std::slice::from_ref(&path), &options).unwrap();
        let times: Vec<_> = log.events.time.iter().map(|&time| format_time(time)).collect();
        assert_eq!(times, ["1969-12-31T16:00:01.5Z", "1970-01-01T00:00:00Z"]);
    }
    // These say theirs.
    write_parquet(&path, &batch(), Compression::SNAPPY);
    check(&read(&[path], &options).unwrap());
}

#[test]
fn a_table_in_folders_has_the_columns_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let table = batch().project(&[0, 1, 2]).unwrap();
    for (name, of_file) in [("event=buy", "part-0.parquet"), ("event=a%2Fb", "part-0.parquet")] {
        let inside = folder.path().join(name);
        fs::create_dir(&inside).unwrap();
        write_parquet(&inside.join(of_file), &table, Compression::SNAPPY);
        fs::write(inside.join(".part-0.parquet.crc"), "crc").unwrap();
    }
    fs::write(folder.path().join("_SUCCESS"), "").unwrap();
    let options = ReadOptions { max_bad: 1.0, ..ReadOptions::default() };
    let log = read(&[folder.path().to_owned()], &options).unwrap();
    assert_eq!(log.report.files.len(), 2);
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["a/b", "buy"]);
    assert_eq!(log.events.kind, [0, 0, 1, 1]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let say = |path: &Path| read(&[path.to_owned()], &lenient()).unwrap_err().to_string();

    write_parquet(&path, &batch().project(&[2, 4]).unwrap(), Compression::SNAPPY);
    let error = read(std::slice::from_ref(&path), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no column for item among timestamp, price"), "{error}");

    write_parquet(&path, &batch(), Compression::SNAPPY);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    assert!(say(&path).contains("not a whole Parquet file"), "{}", say(&path));

    let packed = folder.path().join("log.parquet.zst");
    fs::write(&packed, zstd::encode_all(&whole[..], 1).unwrap()).unwrap();
    assert!(say(&packed).contains("give the path of the file itself"), "{}", say(&packed));

    let bytes = arrow_bytes(&batch(), false);
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(say(&path).contains("not a whole Arrow file"), "{}", say(&path));

    // A whole file, one of whose columns is of a type that is neither text nor number nor time.
    let name: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let field = Arc::new(Field::new("name", DataType::Utf8, false));
    let item: ArrayRef = Arc::new(StructArray::from(vec![(field, name)]));
    let user: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let table = RecordBatch::try_from_iter([("user_id", user), ("item_id", item)]).unwrap();
    let options = ReadOptions::default();
    for bytes in [arrow_bytes(&table, false), arrow_bytes(&table, true)] {
        fs::write(&path, bytes).unwrap();
        let error = read(std::slice::from_ref(&path), &options).unwrap_err().to_string();
        assert!(error.contains("\"item_id\" is of the type Struct"), "{error}");
        assert!(!error.contains("not a whole"), "{error}");
    }
    // Where nobody reads it, it does no harm.
    let options = ReadOptions { columns: "user=user_id,item=user_id".parse().unwrap(), ..options };
    assert_eq!(read(&[path], &options).unwrap().events.len(), 3);
}

/// Bytes that are changed at random make an error or another log, in little memory.
#[test]
fn damaged_files_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    write_parquet(&path, &batch(), Compression::SNAPPY);
    let parquet = fs::read(&path).unwrap();
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = |below: usize| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let cases = std::env::var("TIDEGATE_FUZZ_CASES").map_or(300, |cases| cases.parse().unwrap());
    let (mut good, mut refused) = (0, 0);
    for whole in [parquet, arrow_bytes(&batch(), false), arrow_bytes(&batch(), true)] {
        for _ in 0..cases {
            let mut bytes = whole.clone();
            for _ in 0..1 + draw(4) {
                let at = draw(bytes.len());
                match draw(4) {
                    0 => bytes[at] ^= 1 << draw(8),
                    1 => bytes[at] = draw(256) as u8,
                    2 => bytes.truncate(at.max(8)),
                    _ => bytes[at] = [0, 0xff, 0x7f, 0x80][draw(4)],
                }
            }
            fs::write(&path, &bytes).unwrap();
            match read(std::slice::from_ref(&path), &lenient()) {
                Ok(_) => good += 1,
                Err(Error::Columnar { .. }) => refused += 1,
                Err(_) => {}
            }
        }
    }
    assert!(good > 0 && refused > 0, "{good} read, {refused} refused");
}
