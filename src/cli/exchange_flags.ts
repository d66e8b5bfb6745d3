// The flags that say what is asked, of whom, and with which token: one table for every command that makes an exchange.
// Data only, so that a command may read it without loading commander.

export type ExchangeFlag = {
  /** As commander reads it: `--name` is a switch, `--name <word>` takes a value. */
  readonly flags: `--${string}`
  readonly says: string
  /** The environment variable that stands in for it. */
  readonly twin?: `SALLYPORT_${string}`
  /** May be given several times; the variable holds a list parted by white space. */
  readonly list?: boolean
}

/** Of whom, as whom. */
const WHERE: readonly ExchangeFlag[] = [
  { flags: '--broker <url>', says: "the broker's issuer URL", twin: 'SALLYPORT_BROKER' },
  {
    flags: '--token-endpoint <url>',
    says: 'where to send the request; default <broker>/token',
    twin: 'SALLYPORT_TOKEN_ENDPOINT',
  },
  {
    flags: '--ca-file <file>',
    says: "PEM certificates to trust besides the system's",
    twin: 'SALLYPORT_CA_FILE',
  },
  { flags: '--insecure-allow-http', says: 'allow a broker on plain HTTP that is not on this machine' },
  { flags: '--client-id <id>', says: 'the client that asks', twin: 'SALLYPORT_CLIENT_ID' },
  {
    flags: '--client-secret-file <file>',
    says: 'file with its secret, - for stdin; SALLYPORT_CLIENT_SECRET may hold the secret itself',
    twin: 'SALLYPORT_CLIENT_SECRET_FILE',
  },
  {
    flags: '--client-auth <method>',
    says: 'basic or secret (with a secret), none (public), or federated (the job token is the credential); default: basic with a secret, else none',
    twin: 'SALLYPORT_CLIENT_AUTH',
  },
]

/** What is asked, with which token of the job. */
const WHAT: readonly ExchangeFlag[] = [
  {
    flags: '--connector <id>',
    says: 'connector of the job token; may be left out when its issuer tells',
    twin: 'SALLYPORT_CONNECTOR',
  },
  {
    flags: '--audience <id>',
    says: 'the place the token is for',
    twin: 'SALLYPORT_AUDIENCE',
    list: true,
  },
  { flags: '--scope <scopes>', says: 'default "openid profile email groups"', twin: 'SALLYPORT_SCOPE' },
  { flags: '--policy <name>', says: 'ask for this policy and no other', twin: 'SALLYPORT_POLICY' },
  {
    flags: '--job-source <name>',
    says: 'gitlab, github, forgejo, gitea, azure-devops, buildkite, circleci or kubernetes; default: found out',
    twin: 'SALLYPORT_JOB_SOURCE',
  },
  {
    flags: '--job-audience <aud>',
    says: 'audience of the job token; default the broker',
    twin: 'SALLYPORT_JOB_AUDIENCE',
  },
  {
    flags: '--subject-token-file <file>',
    says: 'file with the token to exchange, - for stdin',
    twin: 'SALLYPORT_SUBJECT_TOKEN_FILE',
  },
  {
    flags: '--subject-token-env <name>',
    says: 'name of the variable that holds it',
    twin: 'SALLYPORT_SUBJECT_TOKEN_ENV',
  },
  {
    flags: '--subject-token-type <type>',
    says: 'id_token (default) or access_token',
    twin: 'SALLYPORT_SUBJECT_TOKEN_TYPE',
  },
  {
    flags: '--requested-token-type <type>',
    says: 'id_token or access_token; default: as the broker',
    twin: 'SALLYPORT_REQUESTED_TOKEN_TYPE',
  },
]

export const EXCHANGE_FLAGS: readonly ExchangeFlag[] = [...WHERE, ...WHAT]
