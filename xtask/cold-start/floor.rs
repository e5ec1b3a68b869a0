//! A function that speaks to Lambda's Runtime API with nothing but the standard library: as soon as Rust can be.

use std::env;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::TcpStream;

fn main() -> Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").expect("Lambda says where its API is");
    let mut connection = TcpStream::connect(&api)?;
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let answer = r#"{"statusCode":404}"#;
    loop {
        let path = "/2018-06-01/runtime/invocation";
        write!(connection, "GET {path}/next HTTP/1.1\r\nhost: {api}\r\n\r\n")?;
        let id = read(&mut reader)?;
        let head = format!("POST {path}/{id}/response HTTP/1.1\r\nhost: {api}");
        write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
        read(&mut reader)?;
    }
}

/// Reads an answer to its end, and gives the id of the request that is in it.
fn read(reader: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut id, mut length) = (String::new(), 0);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(": ") {
            match name {
                "lambda-runtime-aws-request-id" => id = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().expect("a length is a number"),
                _ => {}
            }
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length])?;
    Ok(id)
}
