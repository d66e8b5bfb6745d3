// Every key of every connector type that Dex knows (connector/*/ at commit ab64ed7, v2.45.1 has no others).
import { allIgnored, ignored, items, section, taken } from './key_table.ts'
import type { KeyTable } from './key_table.ts'

const LOGIN = 'for logins in a browser; token exchange does not use it'
const UNSERVED = 'connectors of this type are not served yet'
const IDENTITY = 'connectors[].mapping'

const OIDC: KeyTable = {
  issuer: taken('text', 'the issuer of the connector, compared byte for byte'),
  issuerAlias: taken('text', 'the `iss` that tokens carry instead of the issuer'),
  clientID: ignored('text', LOGIN),
  clientSecret: ignored('text', LOGIN),
  redirectURI: ignored('text', LOGIN),
  scopes: taken('texts', 'with `email` among them a token without an address is denied, as in Dex'),
  getUserInfo: taken('flag', 'opaque access tokens are proven at userinfo; `sub` must be equal'),
  userIDKey: taken('text', IDENTITY),
  userNameKey: taken('text', IDENTITY),
  claimMapping: section({
    preferred_username: taken('text', IDENTITY),
    email: taken('text', IDENTITY),
    groups: taken('text', IDENTITY),
  }),
  overrideClaimMapping: taken('flag', IDENTITY),
  insecureSkipEmailVerified: taken('flag', IDENTITY),
  insecureEnableGroups: taken('flag', IDENTITY),
  allowedGroups: taken('texts', IDENTITY),
  claimModifications: section({
    filterGroupClaims: section({ groupsFilter: taken('text', IDENTITY) }),
    modifyGroupNames: section({ prefix: taken('text', IDENTITY), suffix: taken('text', IDENTITY) }),
    newGroupFromClaims: items({
      claims: taken('texts', IDENTITY),
      delimiter: taken('text', IDENTITY),
      clearDelimiter: taken('flag', IDENTITY),
      prefix: taken('text', IDENTITY),
    }),
  }),
  providerDiscoveryOverrides: section({
    jwksURL: taken('text', 'the key set of the issuer; TLS settings and alias stay in force'),
    userInfoURL: taken('text', 'the userinfo endpoint of the issuer'),
    tokenURL: ignored('text', LOGIN),
    authURL: ignored('text', LOGIN),
    deviceAuthURL: ignored('text', LOGIN),
    endSessionURL: ignored('text', LOGIN),
  }),
  rootCAs: taken('texts', 'added to the system roots for this connector alone'),
  insecureSkipVerify: taken('flag', 'TLS certificates of this issuer are not checked'),
  basicAuthUnsupported: ignored('flag', LOGIN),
  acrValues: ignored('texts', LOGIN),
  promptType: ignored('text', LOGIN),
  pkceChallenge: ignored('text', LOGIN),
  hostedDomains: taken('texts', 'Dex no longer knows it'),
}

const GITLAB: KeyTable = {
  baseURL: taken('text', 'the GitLab whose API proves the token'),
  clientID: ignored('text', LOGIN),
  clientSecret: ignored('text', LOGIN),
  redirectURI: ignored('text', LOGIN),
  groups: taken('texts', 'the groups one of which the user must be in'),
  useLoginAsID: taken('flag', 'the user id is the login'),
  getGroupsPermission: taken('flag', 'groups with their role'),
  inheritedGroups: taken('flag', 'groups through the groups API'),
  rootCAData: taken('text', 'added to the system roots for this connector alone'),
}

const UNSERVED_TYPES: Readonly<Record<string, readonly string[]>> = {
  keystone: ['domain', 'keystoneHost', 'keystoneUsername', 'keystonePassword'],
  mockPassword: ['username', 'password'],
  gitea: ['baseURL', 'clientID', 'clientSecret', 'redirectURI', 'orgs', 'loadAllGroups', 'useLoginAsID'],
  github: [
    'clientID',
    'clientSecret',
    'redirectURI',
    'org',
    'orgs',
    'hostName',
    'rootCA',
    'teamNameField',
    'loadAllGroups',
    'useLoginAsID',
    'preferredEmailDomain',
  ],
  google: [
    'clientID',
    'clientSecret',
    'redirectURI',
    'scopes',
    'hostedDomains',
    'groups',
    'serviceAccountFilePath',
    'domainToAdminEmail',
    'adminEmail',
    'fetchTransitiveGroupMembership',
    'promptType',
  ],
  oauth: [
    'clientID',
    'clientSecret',
    'redirectURI',
    'tokenURL',
    'authorizationURL',
    'userInfoURL',
    'scopes',
    'rootCAs',
    'insecureSkipVerify',
    'userIDKey',
    'claimMapping',
  ],
  authproxy: [
    'userIDHeader',
    'userHeader',
    'userNameHeader',
    'emailHeader',
    'groupHeader',
    'groupHeaderSeparator',
    'staticGroups',
  ],
  linkedin: ['clientID', 'clientSecret', 'redirectURI'],
  microsoft: [
    'clientID',
    'clientSecret',
    'clientAssertion',
    'redirectURI',
    'tenant',
    'onlySecurityGroups',
    'groups',
    'groupNameFormat',
    'useGroupsAsWhitelist',
    'emailToLowercase',
    'batchGroupLookups',
    'apiURL',
    'graphURL',
    'promptType',
    'domainHint',
    'scopes',
    'preferredUsernameField',
  ],
  'bitbucket-cloud': [
    'clientID',
    'clientSecret',
    'redirectURI',
    'teams',
    'includeTeamGroups',
    'getWorkspacePermissions',
  ],
  openshift: ['issuer', 'clientID', 'clientSecret', 'redirectURI', 'groups', 'insecureCA', 'rootCA'],
  'atlassian-crowd': [
    'baseURL',
    'clientID',
    'clientSecret',
    'groups',
    'preferredUsernameField',
    'usernamePrompt',
  ],
}

const SAML: KeyTable = allIgnored(
  [
    'entityIssuer',
    'ssoIssuer',
    'ssoURL',
    'ca',
    'caData',
    'insecureSkipSignatureValidation',
    'usernameAttr',
    'emailAttr',
    'groupsAttr',
    'groupsDelim',
    'allowedGroups',
    'filterGroups',
    'redirectURI',
    'nameIDPolicyFormat',
  ],
  UNSERVED,
)

const MATCHER = ['userAttr', 'groupAttr', 'recursionGroupAttr']

const LDAP: KeyTable = {
  ...allIgnored(
    [
      'host',
      'insecureNoSSL',
      'insecureSkipVerify',
      'startTLS',
      'rootCA',
      'rootCAData',
      'clientCert',
      'clientKey',
      'bindDN',
      'bindPW',
      'usernamePrompt',
      'kerberos',
    ],
    UNSERVED,
  ),
  userSearch: section(
    allIgnored(
      [
        'baseDN',
        'filter',
        'username',
        'scope',
        'idAttr',
        'emailAttr',
        'nameAttr',
        'preferredUsernameAttr',
        'emailSuffix',
      ],
      UNSERVED,
    ),
  ),
  groupSearch: section({
    ...allIgnored(['baseDN', 'filter', 'scope', 'nameAttr', ...MATCHER], UNSERVED),
    userMatchers: items(allIgnored(MATCHER, UNSERVED)),
  }),
}

/** Connector type -> the keys of its `config`. A type that is not here is unknown to Dex. */
export const CONNECTOR_KEYS: ReadonlyMap<string, KeyTable> = new Map<string, KeyTable>([
  ['oidc', OIDC],
  ['gitlab', GITLAB],
  ['mockCallback', {}],
  ['ldap', LDAP],
  ['saml', SAML],
  ['samlExperimental', SAML],
  ...Object.entries(UNSERVED_TYPES).map(([type, names]) => [type, allIgnored(names, UNSERVED)] as const),
])
