// Discovery, keys, health and the paths that are not there.
import type { Probe } from '../probe.ts'
import { formType } from '../probe.ts'

const configuration = '/.well-known/openid-configuration'
const notFound = { status: 404, has: '404 page not found' }
const jwks = { status: 200, has: '"keys"' }
const discovery = { status: 200, has: '"issuer"' }

function get(name: string, proves: string, path: string, rest: Partial<Probe> & Pick<Probe, 'dex'>): Probe {
  return { name, proves, method: 'GET', path, ...rest }
}

export const documentProbes: readonly Probe[] = [
  get('discovery', '1.2', configuration, { dex: discovery, ours: discovery }),
  get('discovery HEAD', '1.1', configuration, { method: 'HEAD', dex: { status: 200 } }),
  get('discovery POST', '1.1', configuration, {
    method: 'POST',
    headers: formType,
    body: 'x=1',
    dex: discovery,
    ours: discovery,
  }),
  get('discovery with a query', '1.1', `${configuration}?x=1`, { dex: discovery, ours: discovery }),
  get('discovery of an ES256 signer', '1.2 row 14', configuration, {
    world: 'es256',
    dex: { status: 200, has: '"ES256"' },
    ours: { status: 200, has: '"ES256"' },
  }),
  get('discovery of an issuer with a slash', '1.1', configuration, {
    world: 'root',
    dex: discovery,
    ours: discovery,
  }),
  get('discovery with a trailing slash', '1.1', `${configuration}/`, { dex: notFound }),
  get('RFC 8414 metadata', 'RFC 8414 §3.1', '/.well-known/oauth-authorization-server/dex', {
    atRoot: true,
    dex: notFound,
    ours: { status: 200, has: '"token_endpoint"' },
  }),
  get('RFC 8414 metadata below the issuer', '1.2', '/.well-known/oauth-authorization-server', {
    dex: notFound,
  }),
  get('path outside the issuer', '1.1', '/token', { atRoot: true, dex: notFound }),
  get('keys', '1.4', '/keys', { dex: jwks, ours: jwks }),
  get('keys HEAD', '1.4', '/keys', { method: 'HEAD', dex: { status: 200 }, ours: { status: 200 } }),
  get('keys POST', '1.1', '/keys', { method: 'POST', headers: formType, body: '', dex: jwks, ours: jwks }),
  get('keys of an ES256 signer', '1.4', '/keys', {
    world: 'es256',
    dex: { status: 200, has: '"EC"' },
    ours: { status: 200, has: '"EC"' },
  }),
  get('keys at the root', '1.1', '/keys', { world: 'root', dex: jwks, ours: jwks }),
  get('keys with a trailing slash', '1.1', '/keys/', { dex: notFound }),
  get('token with a trailing slash', '1.1', '/token/', {
    method: 'POST',
    headers: formType,
    body: 'grant_type=client_credentials',
    dex: notFound,
  }),
  get('double slash', '1.1', '//keys', { dex: notFound }),
  get('unknown path', '1.1', '/nobody', { dex: notFound }),
  get('unknown path by POST', '1.1', '/nobody', {
    method: 'POST',
    headers: formType,
    body: 'x=1',
    dex: notFound,
  }),
  get('unknown path at the root', '1.1', '/nobody', { world: 'root', dex: notFound }),
  get('health', '1.1', '/healthz', { dex: { status: 200, has: 'Health check passed' } }),
  get('health HEAD', '1.1', '/healthz', { method: 'HEAD', dex: { status: 200 } }),
  get('health by POST', '1.1', '/healthz', {
    method: 'POST',
    headers: formType,
    body: '',
    dex: { status: 200 },
  }),
]
