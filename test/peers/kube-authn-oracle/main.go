// What kube-apiserver 1.36.4 says of an AuthenticationConfiguration, an expression or a token, from its own packages
// (k8s.io/apiserver v0.36.4), without starting one. One JSON object a line on stdin, one on stdout, in order.
//
//	{"op":"load","config":TEXT,"serviceAccountIssuers":[URL]}  -> {"errors":[...],"startErrors":[...]}
//	{"op":"compile","expression":TEXT,"use":USE}               -> {"type":TYPE,"error":TEXT}
//	{"op":"evaluate","expression":TEXT,"use":USE,"claims":{}}  -> {"value":JSON,"error":TEXT} ("user" instead of "claims")
//	{"op":"authenticate","config":TEXT,"token":JWT,"jwks":{},"nowSeconds":N} -> {"user":{},"error":TEXT,"notMine":BOOL}
//
// "errors" are what load and validation say; "startErrors" what the authenticators say when they are built with the
// service account issuers and without an egress selector.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"
	"unsafe"
	_ "unsafe" // for go:linkname

	oidclib "github.com/coreos/go-oidc"
	"github.com/google/cel-go/common/types/ref"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/lazy"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

type request struct {
	Op                    string                     `json:"op"`
	Config                string                     `json:"config"`
	ServiceAccountIssuers []string                   `json:"serviceAccountIssuers"`
	Expression            string                     `json:"expression"`
	Use                   string                     `json:"use"`
	Claims                map[string]json.RawMessage `json:"claims"`
	User                  *kubeUser                  `json:"user"`
	Token                 string                     `json:"token"`
	JWKS                  json.RawMessage            `json:"jwks"`
	NowSeconds            *int64                     `json:"nowSeconds"`
}

type kubeUser struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

type answer struct {
	Errors      []string  `json:"errors,omitempty"`
	StartErrors []string  `json:"startErrors,omitempty"`
	Error       string    `json:"error,omitempty"`
	Type        string    `json:"type,omitempty"`
	Value       any       `json:"value,omitempty"`
	User        *kubeUser `json:"user,omitempty"`
	NotMine     bool      `json:"notMine,omitempty"`
}

var (
	scheme   = runtime.NewScheme()
	codecs   = serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	compiler authenticationcel.Compiler
)

func main() {
	install.Install(scheme)
	compiler = authenticationcel.NewDefaultCompiler()
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if encodeErr := out.Encode(answerLine(line)); encodeErr != nil {
				fmt.Fprintln(os.Stderr, encodeErr)
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func answerLine(line []byte) (result answer) {
	defer func() {
		if reason := recover(); reason != nil {
			result = answer{Error: fmt.Sprintf("panic: %v", reason)}
		}
	}()
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: "oracle: " + err.Error()}
	}
	switch asked.Op {
	case "load":
		return loadConfig(asked)
	case "compile":
		return compile(asked)
	case "evaluate":
		return evaluate(asked)
	case "authenticate":
		return authenticate(asked)
	default:
		return answer{Error: "oracle: unknown op " + asked.Op}
	}
}

// The same steps as loadAuthenticationConfigFromData of pkg/kubeapiserver/options, which is not exported.
func decode(text string) (*apiserver.AuthenticationConfiguration, error) {
	if len(text) == 0 {
		return nil, errors.New("empty config data")
	}
	object, err := runtime.Decode(codecs.UniversalDecoder(), []byte(text))
	if err != nil {
		return nil, err
	}
	config, ok := object.(*apiserver.AuthenticationConfiguration)
	if !ok {
		return nil, fmt.Errorf("expected AuthenticationConfiguration, got %T", object)
	}
	return config, nil
}

func loadConfig(asked request) answer {
	config, err := decode(asked.Config)
	if err != nil {
		return answer{Errors: []string{err.Error()}}
	}
	problems := validation.ValidateAuthenticationConfiguration(compiler, config, asked.ServiceAccountIssuers)
	if err := problems.ToAggregate(); err != nil {
		return answer{Errors: textsOf(err)}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var starts []string
	for _, jwt := range config.JWT {
		if _, err := newAuthenticator(ctx, jwt, asked, nil); err != nil {
			starts = append(starts, err.Error())
		}
	}
	return answer{StartErrors: starts}
}

func compile(asked request) answer {
	compiled, err := compileExpression(asked.Use, asked.Expression)
	if err != nil {
		return answer{Error: textOf(err)}
	}
	return answer{Type: compiled.AST.OutputType().String()}
}

func compileExpression(use, expression string) (authenticationcel.CompilationResult, error) {
	switch use {
	case "claim_validation":
		return compiler.CompileClaimsExpression(&authenticationcel.ClaimValidationCondition{Expression: expression})
	case "username", "groups", "uid":
		return compiler.CompileClaimsExpression(&authenticationcel.ClaimMappingExpression{Expression: expression})
	case "extra":
		return compiler.CompileClaimsExpression(&authenticationcel.ExtraMappingExpression{Key: "example.test/key", Expression: expression})
	case "user_validation":
		return compiler.CompileUserExpression(&authenticationcel.UserValidationCondition{Expression: expression})
	default:
		return authenticationcel.CompilationResult{}, errors.New("oracle: unknown use " + use)
	}
}

//go:linkname newClaimsValue k8s.io/apiserver/plugin/pkg/authenticator/token/oidc.newClaimsValue
func newClaimsValue(claims map[string]json.RawMessage) *lazy.MapValue

//go:linkname newUserInfoValue k8s.io/apiserver/plugin/pkg/authenticator/token/oidc.newUserInfoValue
func newUserInfoValue(info user.Info) *lazy.MapValue

func evaluate(asked request) answer {
	compiled, err := compileExpression(asked.Use, asked.Expression)
	if err != nil {
		return answer{Error: textOf(err)}
	}
	results := []authenticationcel.CompilationResult{compiled}
	var values []authenticationcel.EvaluationResult
	if asked.Use == "user_validation" {
		if asked.User == nil {
			return answer{Error: "oracle: user_validation needs user"}
		}
		values, err = authenticationcel.NewUserMapper(results).EvalUser(context.Background(), newUserInfoValue(asked.User.info()))
	} else {
		values, err = authenticationcel.NewClaimsMapper(results).EvalClaimMappings(context.Background(), newClaimsValue(asked.Claims))
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return valueOf(values[0].EvalResult)
}

// valueOf gives what JSON can say of the value; otherwise its type and Go's picture of it.
func valueOf(value ref.Val) answer {
	native, err := value.ConvertToNative(reflect.TypeFor[any]())
	if err == nil {
		if text, err := json.Marshal(native); err == nil {
			return answer{Value: json.RawMessage(text)}
		}
	}
	return answer{Value: map[string]string{"type": value.Type().TypeName(), "text": fmt.Sprint(value.Value())}}
}

func authenticate(asked request) answer {
	config, err := decode(asked.Config)
	if err != nil {
		return answer{Error: "oracle: " + err.Error()}
	}
	if err := validation.ValidateAuthenticationConfiguration(compiler, config, asked.ServiceAccountIssuers).ToAggregate(); err != nil {
		return answer{Error: "oracle: " + err.Error()}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var authenticators []authenticator.Token
	for _, jwt := range config.JWT {
		// A key set is given instead of fetched, which excludes another discovery address.
		jwt.Issuer.DiscoveryURL = ""
		one, err := newAuthenticator(ctx, jwt, asked, asked.JWKS)
		if err != nil {
			return answer{Error: "oracle: " + err.Error()}
		}
		authenticators = append(authenticators, one)
	}
	response, ok, err := tokenunion.NewFailOnError(authenticators...).AuthenticateToken(ctx, asked.Token)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if !ok {
		return answer{NotMine: true}
	}
	return answer{User: userOf(response.User)}
}

// newAuthenticator builds what the apiserver builds for one issuer. With keys it asks nobody: the JWKS comes through
// the library's own remote key set, so that an odd key has the effect that it has there.
func newAuthenticator(ctx context.Context, jwt apiserver.JWTAuthenticator, asked request, keys json.RawMessage) (authenticator.Token, error) {
	options := oidc.Options{
		JWTAuthenticator:     jwt,
		Compiler:             compiler,
		SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
		DisallowedIssuers:    asked.ServiceAccountIssuers,
	}
	if keys == nil {
		if len(jwt.Issuer.CertificateAuthority) > 0 {
			content, err := dynamiccertificates.NewStaticCAContent("oidc-authenticator", []byte(jwt.Issuer.CertificateAuthority))
			if err != nil {
				return nil, err
			}
			options.CAContentProvider = content
		}
		// Nothing is fetched: the context of the background work is over before it begins.
		over, cancel := context.WithCancel(ctx)
		cancel()
		return oidc.New(over, options)
	}
	options.JWTAuthenticator.Issuer.EgressSelectorType = ""
	client := &http.Client{Transport: fixedAnswer(keys)}
	options.KeySet = oidclib.NewRemoteKeySet(oidclib.ClientContext(ctx, client), "https://keys.example.test/jwks")
	if asked.NowSeconds != nil {
		setNow(&options, time.Unix(*asked.NowSeconds, 0))
	}
	return oidc.New(ctx, options)
}

// setNow fixes the clock, which the package keeps to its own tests.
func setNow(options *oidc.Options, now time.Time) {
	field := reflect.ValueOf(options).Elem().FieldByName("now")
	clock := func() time.Time { return now }
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(clock))
}

type fixedAnswer []byte

func (body fixedAnswer) RoundTrip(asked *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK,
		Status:     "200 OK",
		Header:     http.Header{"Content-Type": []string{"application/json"}},
		Body:       io.NopCloser(bytes.NewReader(body)),
		Request:    asked,
	}, nil
}

func (one *kubeUser) info() user.Info {
	return &user.DefaultInfo{Name: one.Username, UID: one.UID, Groups: one.Groups, Extra: one.Extra}
}

func userOf(info user.Info) *kubeUser {
	extra := info.GetExtra()
	if extra == nil {
		extra = map[string][]string{}
	}
	groups := info.GetGroups()
	if groups == nil {
		groups = []string{}
	}
	return &kubeUser{Username: info.GetName(), UID: info.GetUID(), Groups: groups, Extra: extra}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return strings.ToValidUTF8(err.Error(), "?")
}

func textsOf(err error) []string {
	var all utilerrors.Aggregate
	if !errors.As(err, &all) {
		return []string{err.Error()}
	}
	texts := make([]string, 0, len(all.Errors()))
	for _, one := range all.Errors() {
		texts = append(texts, one.Error())
	}
	return texts
}
