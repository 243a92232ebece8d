//! `template.yaml`, read for the local system: the only wiring there is.
//!
//! No crate evaluates SAM templates as a library: SAM's translator is Python, and the CloudFormation crates only have
//! types. What is read here is what the local system runs; all else is left alone, and what should run but cannot be
//! read is one line that names resource and property.

mod api;
mod arn;
mod document;
mod error;
mod function;
mod intrinsic;
mod node;
mod references;
mod secret;
mod spelling;
mod table;
mod trigger;
mod yaml;

pub(crate) use self::{
    api::{Cors, HttpApi, HttpRoute, SocketApi},
    arn::{ACCOUNT, REGION, function_arn, function_name, table_arn},
    error::TemplateError,
    function::Function,
    secret::Secret,
    table::Table,
    trigger::Schedule,
};

#[cfg(test)]
pub(crate) use self::{api::SocketRoute, table::Key};

use self::document::Document;
use crate::trigger::Mapping;

/// All that the local system runs.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) socket_api: Option<SocketApi>,
    pub(crate) http_api: Option<HttpApi>,
    pub(crate) tables: Vec<Table>,
    pub(crate) secret: Option<Secret>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) schedules: Vec<Schedule>,
}

impl Template {
    /// Reads a template's text; `parameters` are given values instead of their defaults.
    pub(crate) fn read(text: &str, parameters: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let document = Document::parse(text, parameters)?;
        references::check(&document)?;
        let functions = function::read(&document)?;
        let template = Self {
            socket_api: api::read_socket_api(&document)?,
            http_api: api::read_http_api(&document)?,
            tables: table::read(&document)?,
            secret: secret::read(&document)?,
            mappings: trigger::read_mappings(&document)?,
            schedules: trigger::read_schedules(&document)?,
            functions,
        };
        document.check_spelling()?;
        template.check_functions()?;
        Ok(template)
    }

    /// Everything that is invoked has to be a function of the template.
    fn check_functions(&self) -> Result<(), TemplateError> {
        let socket = self.socket_api.iter().flat_map(|api| api.routes.values().map(|route| &route.function));
        let http = self.http_api.iter().flat_map(|api| api.routes.iter().map(|route| &route.function));
        let mappings = self.mappings.iter().map(|mapping| &mapping.function);
        let mut invoked = socket.chain(http).chain(mappings);
        match invoked.find(|name| !self.functions.iter().any(|f| f.name == **name)) {
            Some(name) => Err(TemplateError::new("Resources", format!("there is no function {name}"))),
            None => Ok(()),
        }
    }

    /// The topics that are read, each once.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<_> = self.mappings.iter().map(|mapping| mapping.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Stage: { Type: String, Default: ws }
  Cluster: { Type: String, Default: "" }
  Pollers: { Type: Number, Default: 0 }
  Origins: { Type: CommaDelimitedList, Default: "https://a.example,https://b.example" }
  Unset: { Type: String }
  Signing: { Type: String, Default: secret, AllowedValues: [secret, issuer] }
  Issuer: { Type: String, Default: "" }
Rules:
  IssuerIsNamed:
    RuleCondition: !Equals [!Ref Signing, issuer]
    Assertions: [{ Assert: !Not [!Contains [["", none], !Ref Issuer]], AssertDescription: Name the issuer }]
Mappings:
  Sizes: { small: { memory: 256 } }
Conditions:
  HasCluster: !Not [!Equals [!Ref Cluster, ""]]
  HasPollers: !And [!Condition HasCluster, !Not [!Equals [!Ref Pollers, 0]]]
  SignsWithSecret: !Equals [!Ref Signing, secret]
  SignsSomehow: !Or [!Condition SignsWithSecret, !Not [!Equals [!Ref Issuer, ""]]]
Globals:
  Function:
    Timeout: 7
    CodeUri: .
    Environment: { Variables: { LOG_LEVEL: info, STAGE: global } }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }, { AttributeName: sk, AttributeType: N }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }, { AttributeName: sk, KeyType: RANGE }]
      TimeToLiveSpecification: { AttributeName: ttl, Enabled: true }
  Work:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: work } }
    Properties:
      MemorySize: !FindInMap [Sizes, small, memory]
      Environment:
        Variables:
          STAGE: !Ref Stage
          TABLE: !Ref Table
          URL: !Sub "https://${Socket}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}"
          JOINED:
            Fn::Join: ["-", [a, !Select [1, !Split [",", "x,y"]], !GetAtt Table.Arn]]
          MAYBE: !If [HasPollers, "yes", !Ref AWS::NoValue]
          SUB: !Sub ["${A}${!B}", { A: !Ref AWS::StackName }]
          SECRET: !If [SignsWithSecret, !Ref Secret, ""]
          SIGNS: !If [SignsSomehow, "yes", "no"]
      Events:
        Tick:
          Type: ScheduleV2
          Properties: { ScheduleExpression: rate(1 minute), Input: '{"a":1}' }
        Get:
          Type: HttpApi
          Properties: { ApiId: !Ref Rest, Method: get, Path: "/things/{id}" }
        Records:
          Type: MSK
          Properties: { Stream: !Ref Cluster, Topics: [first], BatchSize: 50, ConsumerGroupId: !Sub "${AWS::StackName}.g" }
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Condition: HasCluster
    Properties:
      FunctionName: !GetAtt Work.Arn
      EventSourceArn: !Ref Cluster
      Topics: [second]
      MaximumBatchingWindowInSeconds: 0
      AmazonManagedKafkaEventSourceConfig: { ConsumerGroupId: second }
      ProvisionedPollerConfig: !If [HasPollers, { MinimumPollers: !Ref Pollers }, !Ref AWS::NoValue]
  Socket:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: !Ref Stage
      RouteSelectionExpression: $request.body.action
      Routes:
        $connect: { FunctionArn: !GetAtt Work.Arn }
        subscribe: { FunctionArn: !GetAtt Work.Arn, RouteResponseSelectionExpression: $default }
        $default: { FunctionArn: !GetAtt Work.Arn, RouteResponseSelectionExpression: $default }
  SubscribeResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: { ApiId: !Ref Socket, RouteId: !Ref SocketSubscribeRoute, RouteResponseKey: $default }
  Secret:
    Type: AWS::SecretsManager::Secret
    Condition: SignsWithSecret
    Properties: { GenerateSecretString: { PasswordLength: 64 } }
  Rest:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: { AllowOrigins: !Ref Origins, AllowMethods: [GET, POST], AllowCredentials: true, MaxAge: 60 }
  Ignored:
    Type: AWS::IAM::Policy
    Properties: { Anything: !ImportValue elsewhere }
"#;

    const SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:Secret-000000";

    fn read(parameters: &[(&str, &str)]) -> Template {
        Template::read(TEMPLATE, parameters).unwrap()
    }

    fn broken(from: &str, to: &str) -> String {
        assert!(TEMPLATE.contains(from));
        Template::read(&TEMPLATE.replace(from, to), &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_functions_variables_are_evaluated_over_the_globals() {
        let template = read(&[]);
        let function = &template.functions[0];
        assert_eq!((function.name.as_str(), function.binary.as_str()), ("work", "work"));
        assert_eq!((function.timeout, function.memory_mb), (Duration::from_secs(7), 256));
        let expected = json!({
            "LOG_LEVEL": "info",
            "STAGE": "ws",
            "TABLE": "Table",
            "URL": "https://socket.execute-api.us-east-1.amazonaws.com/ws",
            "JOINED": "a-y-arn:aws:dynamodb:us-east-1:123456789012:table/Table",
            "SUB": "livefold${B}",
            "SECRET": SECRET_ARN,
            "SIGNS": "yes",
        });
        assert_eq!(serde_json::to_value(&function.environment).unwrap(), expected);
    }

    #[test]
    fn a_resource_is_there_only_if_its_condition_holds() {
        assert_eq!(read(&[]).topics(), ["first"]);
        assert_eq!(read(&[("Cluster", "arn")]).topics(), ["first", "second"]);
    }

    #[test]
    fn a_mapping_is_read_from_an_event_and_from_a_resource() {
        let template = read(&[("Cluster", "arn"), ("Pollers", "3")]);
        let [event, resource] = template.mappings.as_slice() else { panic!("{:?}", template.mappings) };
        assert_eq!((event.batch_size, event.window, event.pollers), (50, Duration::from_millis(500), 1));
        assert_eq!((event.consumer_group.as_str(), event.function.as_str()), ("livefold.g", "work"));
        assert_eq!((resource.batch_size, resource.window, resource.pollers), (100, Duration::ZERO, 3));
        assert_eq!((resource.consumer_group.as_str(), resource.function.as_str()), ("second", "work"));
    }

    #[test]
    fn a_route_answers_only_with_both_an_expression_and_a_response() {
        let api = read(&[]).socket_api.unwrap();
        assert_eq!((api.id.as_str(), api.stage.as_str()), ("socket", "ws"));
        let answering: Vec<_> = api.routes.iter().filter(|(_, r)| r.answers).map(|(key, _)| key.as_str()).collect();
        assert_eq!(answering, ["subscribe"]);
    }

    #[test]
    fn routes_and_origins_of_the_http_api_are_read() {
        let api = read(&[]).http_api.unwrap();
        assert_eq!((api.routes[0].method.as_str(), api.routes[0].path.as_str()), ("GET", "/things/{id}"));
        let cors = api.cors.unwrap();
        assert_eq!(cors.origins, ["https://a.example", "https://b.example"]);
        assert_eq!((cors.methods.join(" ").as_str(), cors.credentials, cors.max_age), ("GET POST", true, Some(60)));
    }

    #[test]
    fn the_template_that_is_deployed_can_be_run() {
        let parameters = crate::environment::parameters(4000);
        let parameters = parameters.each_ref().map(|(name, value)| (*name, value.as_str()));
        let template = Template::read(include_str!("../../../template.yaml"), &parameters).unwrap();
        let secret = template.secret.unwrap();
        let verifying: Vec<_> = template
            .functions
            .iter()
            .filter_map(|f| f.environment.get("TOKEN_SECRET_ID").map(|id| (&f.name, id)))
            .collect();
        assert!(!verifying.is_empty());
        assert!(verifying.iter().all(|(_, id)| **id == secret.arn), "{verifying:?}");
        let http = template.http_api.unwrap();
        let ticket = http.routes.iter().find(|route| route.path == "/auth/ticket").unwrap();
        assert_eq!((ticket.method.as_str(), ticket.function.as_str()), ("ANY", "auth-api"));
        let cors = http.cors.unwrap();
        assert!(cors.credentials && cors.methods.contains(&"POST".to_owned()));
        assert_eq!(cors.origins[..2], ["http://localhost:4000", "http://127.0.0.1:4000"]);
        assert!(template.socket_api.unwrap().routes["authenticate"].answers);
        assert_eq!(template.mappings.len(), 4);
    }

    #[test]
    fn a_secret_is_there_and_named_only_where_its_condition_holds() {
        let secret = read(&[]).secret.unwrap();
        assert_eq!((secret.name.as_str(), secret.arn.as_str()), ("Secret", SECRET_ARN));
        let template = read(&[("Signing", "issuer")]);
        assert_eq!(template.secret, None);
        let variables = &template.functions[0].environment;
        assert_eq!((variables["SECRET"].as_str(), variables["SIGNS"].as_str()), ("", "no"));
        let template = read(&[("Signing", "issuer"), ("Issuer", "https://issuer.example")]);
        assert_eq!(template.functions[0].environment["SIGNS"], "yes");
    }

    #[test]
    fn schedules_and_tables_are_read() {
        let template = read(&[]);
        assert_eq!(template.schedules[0].period, Duration::from_mins(1));
        assert_eq!(template.schedules[0].input, r#"{"a":1}"#);
        let table = &template.tables[0];
        assert_eq!((table.name.as_str(), table.ttl.as_deref()), ("Table", Some("ttl")));
        assert_eq!(table.keys.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_names_resource_and_property() {
        let cases = [
            (
                "TABLE: !Ref Table",
                "TABLE: !Ref Tabel",
                "Resources.Work.Properties.Environment.Variables.TABLE: there is no parameter or resource Tabel",
            ),
            (
                "TABLE: !Ref Table",
                "TABLE: !Ref Unset",
                "Parameters.Unset: has no default, and the local system gives it no value",
            ),
            (
                "TABLE: !Ref Table",
                "TABLE: !ImportValue x",
                "Work.Environment.Variables.TABLE: Fn::ImportValue is not known to the local system",
            ),
            (
                "rate(1 minute)",
                "cron(0 * * * ? *)",
                "Work.Events.Tick.Properties.ScheduleExpression: only rate(…) is run locally",
            ),
            (
                "Anything: !ImportValue elsewhere",
                "Anything: !Reff Work",
                "Resources.Ignored.Properties.Anything: !Reff is no function of CloudFormation",
            ),
            (
                "Anything: !ImportValue elsewhere",
                "Anything: [!Ref Nowhere]",
                "Resources.Ignored.Properties.Anything: there is no parameter or resource Nowhere",
            ),
            (
                "Anything: !ImportValue elsewhere",
                "Anything: !Sub '${AWS::Region}/${Wrok.Arn}'",
                "Resources.Ignored.Properties.Anything: there is no parameter or resource Wrok.Arn",
            ),
            (
                "Anything: !ImportValue elsewhere",
                "Anything: !If [HasNothing, 1, 2]",
                "Resources.Ignored.Properties.Anything: there is no condition HasNothing",
            ),
            (
                "      MemorySize:",
                "      Handlers: x\n      MemorySize:",
                "Work: Handlers is not known; is Handler meant?",
            ),
            ("Mappings:", "Maps: {}\nMappings:", "Maps: is no section of a template"),
            (
                "Type: AWS::DynamoDB::Table",
                "Type: AWS::DynamoDB::Tabel",
                "Resources: AWS::DynamoDB::Tabel is not known; is AWS::DynamoDB::Table meant?",
            ),
            ("BatchSize: 50", "BatchSize: 10001", "Work.Events.Records.Properties.BatchSize: is not from 1 to 10000"),
            ("BatchSize: 50", "BatchSize: many", "Work.Events.Records.Properties.BatchSize: is no such number"),
            ("AttributeType: N", "AttributeType: X", "Table.AttributeDefinitions: has no type of S, N or B for sk"),
            ("Condition: HasCluster", "Condition: Has", "Mapping: there is no condition Has"),
            (
                "$connect: { FunctionArn: !GetAtt Work.Arn }",
                "$connect: {}",
                "Socket.Routes.$connect.FunctionArn: is missing",
            ),
            (
                "BillingMode: PAY_PER_REQUEST",
                "GlobalSecondaryIndexes: []",
                "Table.GlobalSecondaryIndexes: is not known to the local system",
            ),
            ("Type: MSK", "Type: SQS", "Work.Events.Records.Type: SQS is not known to the local system"),
            (
                "!If [SignsWithSecret, !Ref Secret, \"\"]",
                "!If [HasCluster, a, !Ref Mapping]",
                "Work.Environment.Variables.SECRET: there is no Mapping, as its condition HasCluster does not hold",
            ),
            (
                "!If [SignsWithSecret, !Ref Secret, \"\"]",
                "!If [SignsWithSecret, !Ref Secret]",
                "Work.Environment.Variables.SECRET: Fn::If has the wrong arguments",
            ),
            (
                "!Or [!Condition SignsWithSecret,",
                "!Or [yes,",
                "Conditions.SignsSomehow: Fn::Or has the wrong arguments",
            ),
            (
                "AllowOrigins: !Ref Origins",
                "AllowOrigins: [\"*\"]",
                "Rest.CorsConfiguration.AllowOrigins: cannot be * with AllowCredentials",
            ),
        ];
        for (from, to, error) in cases {
            assert_eq!(broken(from, to), format!("template.yaml, {error}"));
        }
    }
}
