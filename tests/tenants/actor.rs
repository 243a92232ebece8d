//! One tenant's people: what they can do, and all that comes back.

use std::fmt;

use e2e::{READ_LIVE, Socket, System, local_token};
use reqwest::Method;
use serde_json::{Value, json};

use crate::foreign::MARKERS;

/// Somebody of the tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// May read, and has the name of somebody of another tenant.
    Reader,
    /// May read people's names, too.
    Names,
    /// May read one campaign and all events.
    Narrow,
    /// May nothing.
    Stranger,
    /// May revoke.
    Admin,
    /// May read, and has a name that looks like the key of somebody of another tenant.
    Crafted,
}

impl Who {
    pub(crate) const ALL: [Self; 6] =
        [Self::Reader, Self::Names, Self::Narrow, Self::Stranger, Self::Admin, Self::Crafted];

    /// A token that was issued just now.
    fn token(self, tenant: &str) -> String {
        let (user, changes) = match self {
            Self::Reader => ("ann", json!({})),
            Self::Names => ("nell", json!({"permissions": [READ_LIVE, "attendees:read:names"]})),
            Self::Narrow => ("nick", json!({"channels": ["campaign:c-1", "event:*"]})),
            Self::Stranger => ("stan", json!({"permissions": ["acme2", "*"]})),
            Self::Admin => ("rita", json!({"permissions": [READ_LIVE, "access:revoke"]})),
            Self::Crafted => ("2#ann", json!({"org_id": "acme2", "tenantId": "acme2", "custom:tenant_id": "acme2"})),
        };
        local_token(tenant, user, &changes)
    }
}

/// How a socket is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Header,
    Cookie,
    Subprotocol,
    Query,
    Ticket,
    /// With a token of another tenant in a place that counts less, and other headers that name it.
    HeaderBeforeForeign,
}

impl Way {
    pub(crate) const ALL: [Self; 6] =
        [Self::Header, Self::Cookie, Self::Subprotocol, Self::Query, Self::Ticket, Self::HeaderBeforeForeign];
}

/// What somebody does. A socket is one of those that were opened, whoever did, counted round and round.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Connect(Who, Way),
    Subscribe(usize, String),
    Unsubscribe(usize, String),
    Ping(usize),
    Send(usize, String),
    Authenticate(usize, Who),
    /// With a good token of another tenant for the same user name.
    AuthenticateAs(usize, &'static str),
    AuthenticateGarbage(usize),
    Get(Who, String),
    /// One user, or everyone.
    Revoke(Who, bool),
    Close(usize),
}

/// All that came back.
#[derive(Default)]
pub(crate) struct Seen {
    texts: Vec<String>,
    pub(crate) sockets: usize,
    pub(crate) messages: usize,
    pub(crate) answers: usize,
}

impl Seen {
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.texts.iter().any(|seen| seen.contains(text))
    }

    /// What holds something that is another tenant's.
    pub(crate) fn leaks(&self) -> Vec<String> {
        self.texts.iter().filter(|text| MARKERS.iter().any(|marker| text.contains(marker))).cloned().collect()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.texts.extend(other.texts);
        self.sockets += other.sockets;
        self.messages += other.messages;
        self.answers += other.answers;
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sockets, {} messages, {} answers over REST", self.sockets, self.messages, self.answers)
    }
}

/// The tenant's people, with the sockets that they have.
pub(crate) struct Actor<'a> {
    system: &'a System,
    tenant: &'static str,
    sockets: Vec<Socket>,
    seen: Seen,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(system: &'a System, tenant: &'static str) -> Self {
        Self { system, tenant, sockets: Vec::new(), seen: Seen::default() }
    }

    /// Does it. Whatever comes back is kept, and nothing that comes back is wrong by itself.
    pub(crate) async fn act(&mut self, action: &Action) {
        match action {
            Action::Connect(who, way) => self.connect(*who, *way).await,
            Action::Subscribe(socket, channel) => {
                self.send(*socket, json!({"action": "subscribe", "channel": channel}).to_string()).await;
            }
            Action::Unsubscribe(socket, channel) => {
                self.send(*socket, json!({"action": "unsubscribe", "channel": channel}).to_string()).await;
            }
            Action::Ping(socket) => self.send(*socket, json!({"action": "ping"}).to_string()).await,
            Action::Send(socket, text) => self.send(*socket, text.clone()).await,
            Action::Authenticate(socket, who) => self.authenticate(*socket, &who.token(self.tenant)).await,
            Action::AuthenticateAs(socket, tenant) => {
                self.authenticate(*socket, &local_token(tenant, "ann", &json!({}))).await;
            }
            Action::AuthenticateGarbage(socket) => self.authenticate(*socket, "garbage").await,
            Action::Get(who, path) => self.request(Method::GET, *who, path, None).await,
            Action::Revoke(who, everyone) => {
                let body = if *everyone { json!({"everyone": true}) } else { json!({"user": "ann"}) };
                self.request(Method::POST, *who, "/auth/revoke", Some(body)).await;
            }
            Action::Close(socket) => {
                if let Some(at) = self.at(*socket) {
                    drop(self.sockets.remove(at));
                }
            }
        }
    }

    /// Takes in all that has come, on every socket, and leaves.
    pub(crate) async fn look_around(mut self) -> Seen {
        for mut socket in std::mem::take(&mut self.sockets) {
            // One after the other: the answer comes behind all that was posted before.
            if socket.send(r#"{"action":"ping"}"#).await.is_err() {
                continue;
            }
            loop {
                match socket.next().await {
                    Ok(message) => {
                        let is_last = message["type"] == "pong";
                        self.take(&message);
                        if is_last {
                            break;
                        }
                    }
                    // How it ended is something that came, too.
                    Err(error) => {
                        self.seen.texts.push(format!("{error:?}"));
                        break;
                    }
                }
            }
        }
        self.seen
    }

    fn take(&mut self, message: &Value) {
        self.seen.messages += 1;
        // As text without escapes, behind which a marker could hide.
        self.seen.texts.push(message.to_string());
    }

    fn at(&self, socket: usize) -> Option<usize> {
        socket.checked_rem(self.sockets.len())
    }

    async fn send(&mut self, socket: usize, text: String) {
        let Some(at) = self.at(socket) else { return };
        if self.sockets[at].send(text).await.is_err() {
            self.sockets.remove(at);
        }
    }

    async fn authenticate(&mut self, socket: usize, token: &str) {
        self.send(socket, json!({"action": "authenticate", "token": token}).to_string()).await;
    }

    async fn connect(&mut self, who: Who, way: Way) {
        let token = who.token(self.tenant);
        let foreign = local_token(crate::foreign::TENANTS[0], "ann", &json!({}));
        let (query, headers) = match way {
            Way::Header => (String::new(), vec![("authorization", format!("Bearer {token}"))]),
            Way::Cookie => {
                (String::new(), vec![("cookie", format!("token={token}")), ("origin", self.system.origin())])
            }
            Way::Subprotocol => {
                (String::new(), vec![("sec-websocket-protocol", format!("livefold.v1, bearer.{token}"))])
            }
            Way::Query => (format!("?token={token}"), vec![]),
            Way::Ticket => match self.system.rest(Some(&token)).ticket().await {
                Ok(ticket) => (format!("?ticket={ticket}"), vec![]),
                Err(error) => {
                    self.seen.texts.push(format!("{error:?}"));
                    return;
                }
            },
            Way::HeaderBeforeForeign => (
                format!("?token={foreign}&tenant=acme2"),
                vec![
                    ("authorization", format!("Bearer {token}")),
                    ("sec-websocket-protocol", format!("livefold.v1, bearer.{foreign}")),
                    ("x-tenant-id", "acme2".to_owned()),
                ],
            ),
        };
        match Socket::handshake(&self.system.socket_url(&query), &headers).await.unwrap() {
            Ok(socket) => {
                self.seen.sockets += 1;
                self.sockets.push(socket);
            }
            Err(refused) => self.seen.texts.push(refused.text),
        }
    }

    async fn request(&mut self, method: Method, who: Who, path: &str, body: Option<Value>) {
        let rest = self.system.rest(Some(&who.token(self.tenant)));
        let request = rest.request(method, path).header("x-tenant-id", "acme2");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let head = format!("{} {:?}", response.status(), response.headers());
        let body = response.text().await.unwrap();
        let plain = serde_json::from_str::<Value>(&body).map_or(body, |body| body.to_string());
        self.seen.answers += 1;
        self.seen.texts.push(format!("{head} {plain}"));
    }
}
