// Every key of every connector type that Dex knows (connector/*/ at commit ab64ed7, v2.45.1 has no others).
import { allIgnored, ignored, items, section, taken } from './key_table.ts'
import type { KeyTable } from './key_table.ts'

const LOGIN = 'for logins in a browser; token exchange does not use it'
const UNSERVED = 'connectors of this type are not served yet'

const OIDC: KeyTable = {
  issuer: taken('text', 'connectors[].issuer, compared byte for byte'),
  issuerAlias: taken('text', 'connectors[].issuer; the configured one is dex.documentIssuer'),
  clientID: ignored('text', LOGIN),
  clientSecret: ignored('text', LOGIN),
  redirectURI: ignored('text', LOGIN),
  scopes: taken(
    'texts',
    'connectors[].dex.requireEmail: with `email` among them a token without an address is denied',
  ),
  getUserInfo: taken('flag', 'connectors[].userinfo: proves opaque access tokens; `sub` must be equal'),
  userIDKey: taken('text', 'connectors[].claimMapping.userId'),
  userNameKey: taken('text', 'connectors[].claimMapping.username'),
  claimMapping: section({
    preferred_username: taken('text', 'connectors[].claimMapping.preferredUsername'),
    email: taken('text', 'connectors[].claimMapping.email'),
    groups: taken('text', 'connectors[].claimMapping.groups'),
  }),
  overrideClaimMapping: taken('flag', 'connectors[].dex.preferStandardClaims'),
  insecureSkipEmailVerified: taken('flag', 'connectors[].dex.assumeEmailVerified'),
  insecureEnableGroups: taken('flag', 'connectors[].claimMapping.groups'),
  allowedGroups: taken('texts', 'connectors[].allowedGroups'),
  claimModifications: section({
    filterGroupClaims: section({ groupsFilter: taken('text', 'connectors[].claimMapping.groupsFilter') }),
    modifyGroupNames: section({
      prefix: taken('text', 'connectors[].claimMapping.groupPrefix'),
      suffix: taken('text', 'connectors[].dex.groupSuffix'),
    }),
    newGroupFromClaims: items({
      claims: taken('texts', 'connectors[].dex.newGroups'),
      delimiter: taken('text', 'connectors[].dex.newGroups'),
      clearDelimiter: taken('flag', 'connectors[].dex.newGroups'),
      prefix: taken('text', 'connectors[].dex.newGroups'),
    }),
  }),
  providerDiscoveryOverrides: section({
    jwksURL: taken('text', 'connectors[].dex.jwksUri; TLS settings and alias stay in force'),
    userInfoURL: taken('text', 'connectors[].dex.userinfoUri'),
    tokenURL: ignored('text', LOGIN),
    authURL: ignored('text', LOGIN),
    deviceAuthURL: ignored('text', LOGIN),
    endSessionURL: ignored('text', LOGIN),
  }),
  rootCAs: taken('texts', 'connectors[].caFile, for this connector alone'),
  insecureSkipVerify: taken('flag', 'connectors[].insecureSkipVerify'),
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
  rootCAData: taken('text', 'connectors[].caFile, for this connector alone'),
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
