//! Handing out the site's files on this machine: for a look at it, and for the tests.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A server of a folder's files on the loopback interface.
pub struct Server {
    listener: TcpListener,
    folder: Arc<PathBuf>,
}

impl Server {
    /// Takes a port; any that is free for 0.
    ///
    /// # Errors
    /// A port that is taken.
    pub fn new(folder: PathBuf, port: u16) -> std::io::Result<Self> {
        Ok(Server {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, port))?,
            folder: Arc::new(folder),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system reports.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers, for as long as the program runs.
    pub fn run(&self) {
        for stream in self.listener.incoming().flatten() {
            let folder = self.folder.clone();
            // Browsers open several connections and may leave some idle.
            std::thread::spawn(move || {
                // A visitor that went away is none of the server's business.
                let _ = answer(stream, &folder);
            });
        }
    }
}

fn answer(stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut stream = stream;
    let path = request
        .strip_prefix("GET ")
        .and_then(|rest| rest.split([' ', '?', '#']).next());
    let found = path
        .and_then(|path| file(folder, path))
        .and_then(|path| Some((std::fs::read(&path).ok()?, kind(&path))));
    let (status, body, kind) = match found {
        Some((body, kind)) => ("200 OK", body, kind),
        None => (
            "404 Not Found",
            b"There is no such page.".to_vec(),
            "text/plain",
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// The file that a request's path names, within the folder.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    if path
        .components()
        .any(|c| !matches!(c, Component::Normal(_)))
    {
        return None;
    }
    let whole = folder.join(path);
    Some(match whole.is_dir() {
        true => whole.join("index.html"),
        false => whole,
    })
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_folder_are_named() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(file(folder, "/Cargo.toml"), Some(folder.join("Cargo.toml")));
        assert_eq!(file(folder, "/src"), Some(folder.join("src/index.html")));
        assert_eq!(file(folder, "/"), Some(folder.join("index.html")));
        assert_eq!(file(folder, "/../README.md"), None);
        assert_eq!(file(folder, "/src/../../README.md"), None);
    }
}
