// Where a PostgreSQL is, as a URL says it: `postgres://user:password@host:5432/database`. libpq's spelling, of which only
// what we mean is read: everything else is named and refused, since a setting that is passed over protects nobody.

export type PostgresUrl = {
  /** A name, an address, or the absolute folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  /** `sslmode` as far as it says something: `disable` is an explicit no, the others an explicit yes. */
  readonly tls: 'off' | 'on' | undefined
}

export type PostgresUrlProblem = { readonly problem: string; readonly wayOut: string }

const EXAMPLE = 'postgres://sallyport@db.example.com:5432/sallyport'
const DEFAULT_PORT = 5432
/** TLS without a check of the certificate is none to us: these three all mean the same here. */
const TLS_MODES = new Set(['require', 'verify-ca', 'verify-full'])
const PARAMETERS = new Set(['host', 'user', 'sslmode'])

/** Problems never quote the text: a password stands in it. */
export function parsePostgresUrl(text: string): PostgresUrl | PostgresUrlProblem {
  const wayOut = `write it as ${EXAMPLE}`
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:'))
    return { problem: 'this is not a postgres:// URL', wayOut }
  if (url.hash !== '') return { problem: 'the URL has a fragment', wayOut: 'write # in a password as %23' }
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.has(name))
  if (unknown !== undefined) {
    return {
      problem: 'the URL has a parameter that is not read here',
      wayOut: 'only host, user and sslmode are; certificates are named under tls',
    }
  }
  const parts = decoded(url)
  if (parts === undefined) return { problem: 'the URL has a % that is not percent-encoding', wayOut }
  const { host, user, password, database } = parts
  if (host === '')
    return { problem: 'the URL names no host', wayOut: `${wayOut}, or with ?host=/run/postgresql` }
  if (host.includes(',') || /[\s\0]/.test(host))
    return {
      problem: 'the URL does not name exactly one host',
      wayOut: 'name the address that leads to the primary',
    }
  if (user === '') return { problem: 'the URL names no user', wayOut }
  if (database === '' || database.includes('/')) return { problem: 'the URL names no database', wayOut }
  const mode = url.searchParams.get('sslmode')
  if (mode !== null && mode !== 'disable' && !TLS_MODES.has(mode)) {
    return {
      problem: 'sslmode is none that says whether TLS is used',
      wayOut: 'write verify-full, or disable: the certificate is checked or TLS is off',
    }
  }
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  return { host, port, database, user, password, tls: tlsOf(mode) }
}

/** What people may see of it. */
export function shownPlace(place: Pick<PostgresUrl, 'host' | 'port' | 'database'>): string {
  const { host, port, database } = place
  return `postgres ${host.includes(':') ? `[${host}]` : host}:${port}/${database}`
}

function tlsOf(mode: string | null): PostgresUrl['tls'] {
  if (mode === null) return undefined
  return mode === 'disable' ? 'off' : 'on'
}

function decoded(url: URL): Pick<PostgresUrl, 'host' | 'user' | 'password' | 'database'> | undefined {
  const parameters = url.searchParams
  try {
    return {
      host: parameters.get('host') ?? decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')),
      user: parameters.get('user') ?? decodeURIComponent(url.username),
      password: url.password === '' ? undefined : decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
    }
  } catch {
    return undefined
  }
}
