// The sallyport.yaml that the first `npm start` writes: it loads as it stands, and shows one of everything.

/** Text of the file, for a broker that keeps its own things under `.sallyport/` beside it. */
export const STARTER_CONFIG = `# sallyport.yaml
# yaml-language-server: $schema=deploy/schema/sallyport.schema.json
#
# Written by the first start; yours from now on. Every key: docs/configuration.md. Check it: sallyport config check

# What stands in "iss" of issued tokens. Relying parties must reach it.
issuer: https://localhost:8443

listen:
  public:
    address: 0.0.0.0:8443
    # A development certificate for localhost and 127.0.0.1. Trust .sallyport/tls/ca.crt, or put your own here.
    tls: { certFile: .sallyport/tls/tls.crt, keyFile: .sallyport/tls/tls.key }
  # Metrics and health; not for strangers.
  ops: 127.0.0.1:9090

store: { type: sqlite, file: .sallyport/sallyport.db }

# Where the tokens of jobs come from. The type knows the issuer's claims, ids and traps: gitlab-ci, github-actions,
# forgejo-actions, gitea-actions, keycloak, kubernetes, buildkite, circleci, azure-devops; oidc is any other.
connectors: []
#  - id: gitlab
#    type: gitlab-ci
#    issuer: https://gitlab.example.com
#    # Jobs ask for a token with aud: https://localhost:8443, our issuer, unless you list other values here.
#    # audiences: [sallyport]
#    # caFile: gitlab-ca.pem

# Who may ask. The demo client gets a token for itself:
# curl --cacert .sallyport/tls/ca.crt -u "demo:$(cat .sallyport/demo-client-secret)" -d grant_type=client_credentials -d scope=openid https://localhost:8443/token
clients:
  - id: demo
    auth: { method: client_secret, secretFile: .sallyport/demo-client-secret }
    grants: [client_credentials]
#  - id: ci
#    # Without any secret: the token of the job is the credential. Or {method: client_secret, secretEnv: CI_SECRET},
#    # {method: private_key_jwt, jwksFile: ci.jwks.json}, {method: none}.
#    auth: { method: federated_jwt, connector: gitlab, policy: acme-vpc }
#    connectors: [gitlab]
#    defaultAudiences: [kubernetes]

# Whom tokens are for, and which clients may ask for them.
audiences: []
#  - id: kubernetes
#    profile: kubernetes
#    clients: [ci]
#    resources: [https://kubernetes.example.com:6443]
#    maxTtl: 10m

# Which claims get what. The first policy that holds decides; without one that holds nothing is granted.
policies: []
#  - name: acme-vpc
#    connector: gitlab
#    clients: [ci]
#    claims:
#      project_id: "48291"          # an id that nobody can register again; quoted, since the issuer writes it as text
#      ref: { anyOf: [main] }       # or a list, {prefix: release/}, {glob: "feature/*"}, {re2: 'v[0-9]+'}
#    condition: claims.ref_protected == "true"
#    grant:
#      audiences: [kubernetes]
#      groups: [deployers]
#      username: "gitlab:\${project_path}"
#      ttl: 10m
`
