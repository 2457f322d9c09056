//! What is listened on for encrypted connections.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::Encryption;
use crate::host::{Acceptor, Stream};

/// Accepts through another, and encrypts what comes.
#[derive(Debug)]
pub struct TlsAcceptor {
    inner: Box<dyn Acceptor>,
    encryption: Encryption,
    /// They are nodes of a cluster, not clients.
    of_nodes: bool,
}

impl TlsAcceptor {
    /// For clients.
    pub fn of_clients(inner: Box<dyn Acceptor>, encryption: &Encryption) -> Box<dyn Acceptor> {
        TlsAcceptor::of(inner, encryption, false)
    }

    /// For nodes of a cluster.
    pub fn of_nodes(inner: Box<dyn Acceptor>, encryption: &Encryption) -> Box<dyn Acceptor> {
        TlsAcceptor::of(inner, encryption, true)
    }

    fn of(inner: Box<dyn Acceptor>, encryption: &Encryption, of_nodes: bool) -> Box<dyn Acceptor> {
        Box::new(TlsAcceptor {
            inner,
            encryption: encryption.clone(),
            of_nodes,
        })
    }
}

impl Source for TlsAcceptor {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.inner.register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.inner.reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.inner.deregister(from)
    }
}

impl Acceptor for TlsAcceptor {
    fn accept(&mut self) -> io::Result<Stream> {
        let stream = self.inner.accept()?;
        match self.of_nodes {
            true => self.encryption.accept_node(stream),
            false => self.encryption.accept(stream),
        }
    }

    fn name(&self) -> String {
        format!("{} (TLS)", self.inner.name())
    }

    fn address(&self) -> Option<SocketAddr> {
        self.inner.address()
    }

    fn is_encrypted(&self) -> bool {
        true
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
