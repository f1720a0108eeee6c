"""What frameworks and identity servers answer by themselves, when the API's own code was never asked or has broken."""

from __future__ import annotations

from streams.local.simulator.zoo.entry import DOCUMENTS, HTML, JSON, LOG_IN, LOOKED_UP, SENT, TEXT, Entry, path_of, said

_IIS = {"Server": "Microsoft-IIS/10.0"}
_PROBLEM = "application/problem+json; charset=utf-8"
_PROBLEM_SOURCE = "ASP.NET Core, src/Mvc/Mvc.Core/src/Infrastructure/DefaultProblemDetailsFactory.cs"
_WEB_API_SOURCE = "ASP.NET Web API, System.Web.Http/HttpError.cs"
_TRACE = "00-c78b053e344ed84fbcba9cf999668bcd-c256eacc42307040-00"
_KEYCLOAK_SOURCE = "Keycloak, services, org.keycloak.OAuthErrorException"


def _iis_page(title: str) -> bytes:
    return (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">\r\n<html><head>\r\n'
        f"<title>{title}</title>\r\n</head><body><h1>Server Error</h1><h2>{title}</h2></body></html>\r\n"
    ).encode()


ENTRIES = (
    Entry("iis_404", "IIS", "IIS, custom errors", 404, _iis_page("404 - File or directory not found."), "text/html",
          _IIS),
    Entry("iis_hostname", "IIS", "http.sys, answers before IIS is asked", 400,
          b"<HTML><HEAD><TITLE>Bad Request</TITLE></HEAD>\r\n<BODY><h2>Bad Request - Invalid Hostname</h2>\r\n"
          b"<hr><p>HTTP Error 400. The request hostname is invalid.</p></BODY></HTML>\r\n",
          "text/html; charset=us-ascii",
          {"Server": "Microsoft-HTTPAPI/2.0"}),
    Entry("iis_401", "IIS", "IIS, custom errors", 401,
          _iis_page("401 - Unauthorized: Access is denied due to invalid credentials."), "text/html",
          _IIS | {"WWW-Authenticate": "Negotiate"}),
    Entry("iis_arr_502_3", "IIS ARR", "IIS, Application Request Routing: 502.3", 502,
          _iis_page("IIS 8.5 Detailed Error - 502.3 - Bad Gateway"), "text/html", _IIS),
    Entry("iis_503", "IIS", "http.sys, the application pool is stopped", 503,
          b"<HTML><HEAD><TITLE>Service Unavailable</TITLE></HEAD>\r\n<BODY><h2>Service "
          b"Unavailable</h2></BODY></HTML>\r\n",
          "text/html; charset=us-ascii", {"Server": "Microsoft-HTTPAPI/2.0"}),
    Entry("aspnet_yellow_page", "ASP.NET", "ASP.NET, the page of an unhandled exception, put out with 200", 200,
          b"<html><head><title>Runtime Error</title></head><body><h1>Server Error in '/' "
          b"Application.</h1></body></html>",
          "text/html; charset=utf-8", _IIS),
    Entry("web_api_no_resource", "ASP.NET Web API", _WEB_API_SOURCE, 404,
          lambda call: said({"Message": f"No HTTP resource was found that matches the request URI '{path_of(call)}'."}),
          JSON, _IIS, look_alike=True),
    Entry("web_api_denied", "ASP.NET Web API", _WEB_API_SOURCE, 401,
          said({"Message": "Authorization has been denied for this request."}), JSON, _IIS, DOCUMENTS, look_alike=True),
    Entry("web_api_error", "ASP.NET Web API", _WEB_API_SOURCE, 500, said({"Message": "An error has occurred."}), JSON,
          _IIS),
    Entry("web_api_method", "ASP.NET Web API", _WEB_API_SOURCE, 405,
          said({"Message": "The requested resource does not support http method 'GET'."}), JSON, _IIS),
    Entry("dotnet_timeout_as_400", "ASP.NET", "SqlClient, SqlException -2, passed on by a catch-all", 400,
          said({"code": 400, "mess": "Execution Timeout Expired. The timeout period elapsed prior to completion."}),
          JSON,
          look_alike=True),
    Entry("dotnet_deadlock_as_200", "ASP.NET", "SQL Server, error 1205, passed on by a catch-all", 200,
          said({"code": "400",
          "message": "Transaction (Process ID 52) was deadlocked on lock resources with another process "
                "and has been chosen as the deadlock victim. Rerun the transaction."}), JSON, look_alike=True),
    Entry("problem_400", "ASP.NET Core", _PROBLEM_SOURCE, 400,
          said({"type": "about:blank", "title": "One or more validation errors occurred.", "status": 400,
          "traceId": _TRACE,
                "errors": {"$.completed": ["'}' is an invalid start of a value."]}}), _PROBLEM),
    Entry("problem_404", "ASP.NET Core", _PROBLEM_SOURCE, 404,
          said({"type": "about:blank", "title": "Not Found", "status": 404, "traceId": _TRACE}), _PROBLEM),
    Entry("problem_415", "ASP.NET Core", _PROBLEM_SOURCE, 415,
          said({"type": "about:blank", "title": "Unsupported Media Type", "status": 415, "traceId": _TRACE}), _PROBLEM),
    Entry("kestrel_400", "ASP.NET Core", "Kestrel, src/Servers/Kestrel: a bad request has no body", 400, b"", "", {},
          DOCUMENTS),
    Entry("spring_404", "Spring Boot", "Spring Boot, DefaultErrorAttributes", 404,
          lambda call: said({"timestamp": "2026-03-01T10:00:00.000+00:00", "status": 404, "error": "Not Found",
          "message":
                             "No message available", "path": path_of(call)}), JSON),
    Entry("spring_400", "Spring Boot", "Spring Boot, DefaultErrorAttributes", 400,
          lambda call: said({"timestamp": 1772359200000, "status": 400, "error": "Bad Request", "message":
                             "JSON parse error", "path": path_of(call)}), JSON),
    Entry("spring_whitelabel", "Spring Boot", "Spring Boot, ErrorMvcAutoConfiguration", 404,
          b"<html><body><h1>Whitelabel Error Page</h1><p>This application has no explicit mapping for "
          b"/error</p></body></html>",
          "text/html;charset=UTF-8"),
    Entry("tomcat_400", "Apache Tomcat", "Tomcat, java/org/apache/catalina/valves/ErrorReportValve.java", 400,
          b'<!doctype html><html lang="en"><head><title>HTTP Status 400 \xe2\x80\x93 Bad '
          b'Request</title></head><body><h1>HTTP '
          b"Status 400 \xe2\x80\x93 Bad Request</h1></body></html>", "text/html;charset=utf-8"),
    Entry("jetty_400", "Jetty", "Jetty, HttpParser and BadMessageException", 400,
          b"<h1>Bad Message 400</h1><pre>reason: Illegal character</pre>", "text/html;charset=iso-8859-1"),
    Entry("dropwizard_404", "Dropwizard", "Dropwizard, io.dropwizard.jersey.errors.ErrorMessage", 404,
          said({"code": 404, "message": "HTTP 404 Not Found"}), "application/json", look_alike=True),
    Entry("dropwizard_500", "Dropwizard", "Dropwizard, LoggingExceptionMapper", 500,
          said({"code": 500,
          "message": "There was an error processing your request. It has been logged (ID 0a1b2c3d)."}),
          "application/json"),
    Entry("express_404", "Express", "finalhandler, index.js", 404,
          lambda call: f"<!DOCTYPE html>\n<html>\n<body>\n<pre>Cannot GET "
                       f"{path_of(call)}</pre>\n</body>\n</html>\n".encode(),
          HTML, {"X-Powered-By": "Express"}),
    Entry("nest_404", "NestJS", "NestJS, packages/common/exceptions/http.exception.ts", 404,
          lambda call: said({"statusCode": 404, "message": f"Cannot GET {path_of(call)}", "error": "Not Found"}), JSON),
    Entry("nest_400", "NestJS", "NestJS, packages/common/pipes/validation.pipe.ts", 400,
          said({"statusCode": 400, "message": ["property ma_hoa_don should not exist"], "error": "Bad Request"}), JSON),
    Entry("fastapi_404", "FastAPI", "Starlette, starlette/exceptions.py", 404, said({"detail": "Not Found"}), JSON),
    Entry("fastapi_422", "FastAPI", "FastAPI, fastapi/exception_handlers.py", 422,
          said({"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}), JSON),
    Entry("laravel_422", "Laravel", "Laravel, Illuminate/Foundation/Exceptions/Handler.php", 422,
          said({"message": "The given data was invalid.", "errors": {"email": ["required"]}}), JSON),
    Entry("laravel_419", "Laravel", "Laravel, TokenMismatchException", 419, said({"message": "CSRF token mismatch."}),
          JSON),
    Entry("django_400", "Django", "Django, django/views/defaults.py", 400,
          b"<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Bad Request (400)</title>\n</head></html>\n"),
    Entry("rails_422", "Ruby on Rails", "Rails, railties: public/422.html", 422,
          b"<!DOCTYPE html><html><head><title>The change you wanted was rejected (422)</title></head></html>"),
    Entry("php_warning_before_json", "PHP", "PHP, display_errors: text before the JSON", 200,
          b'<br />\n<b>Warning</b>:  Undefined variable $x in <b>/var/www/api.php</b> on line <b>7</b><br />\n'
          b'{"code": 200, "ma_hoa_don": "HD_QG_1"}', "text/html; charset=UTF-8"),
    Entry("keycloak_invalid_grant", "Keycloak", _KEYCLOAK_SOURCE, 401,
          said({"error": "invalid_grant", "error_description": "Invalid user credentials"}), "application/json"),
    Entry("keycloak_grant_400", "Keycloak", _KEYCLOAK_SOURCE, 400,
          said({"error": "invalid_grant", "error_description": "Token is not active"}), "application/json"),
    Entry("keycloak_token", "Keycloak", "Keycloak, AccessTokenResponse", 200,
          said({"access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "expires_in": 300, "token_type": "Bearer"}),
          "application/json"),
    Entry("keycloak_conflict", "Keycloak", "Keycloak, ErrorRepresentation", 409,
          said({"errorMessage": "Conflict detected. See logs for details"}), "application/json"),
    Entry("keycloak_redirect", "Keycloak", "Keycloak, the authorization endpoint", 302, b"", HTML,
          {"Location": "/realms/duoc/protocol/openid-connect/auth?client_id=api&response_type=code"}),
    Entry("identity_server_token", "IdentityServer", "IdentityServer4, TokenErrorResult", 400,
          said({"error": "invalid_client"}), JSON),
    Entry("adfs_redirect", "AD FS", "AD FS, WS-Federation sign-in", 302, b"", HTML,
          {"Location": "/adfs/ls/?wa=wsignin1.0&wtrealm=duoc"}),
    Entry("saml_post_form", "AD FS", "SAML 2.0 HTTP-POST binding: a form that sends itself", 200,
          b'<html><body onload="document.forms[0].submit()"><form method="post"><input name="SAMLRequest" value="fVLL">'
          b"</form></body></html>"),
    Entry("oauth2_proxy_sign_in", "oauth2-proxy", "oauth2-proxy, pkg/app/pagewriter", 403,
          b'<!DOCTYPE html><html lang="en"><head><title>Sign In</title></head><body>Sign in with OpenID</body></html>'),
    Entry("oauth2_proxy_401", "oauth2-proxy", "oauth2-proxy, oauthproxy.go", 401, b"Unauthorized\n", TEXT),
    Entry("graphql_errors", "Apollo Server", "GraphQL: data null beside errors", 200,
          said({"data": None, "errors": [{"message": "Cannot query field", "locations": [{"line": 1, "column": 1}]}]}),
          JSON),
    Entry("hasura_error", "Hasura", "Hasura, server: errors have a path and a code of their own", 200,
          said({"errors": [{"message": "field not found", "extensions": {"path": "$", "code": "validation-failed"}}]}),
          JSON),
    Entry("swagger_mock", "Swagger UI mock", "Prism, examples made from the types", 200,
          lambda call: said({"code": 0, "mess": "string"} | (
              {call.kind.document_code_field: "string"} if call.kind else {"token": "string"})), JSON),
    Entry("swagger_mock_200", "Swagger UI mock", "Prism, examples made from the types, code by hand", 200,
          lambda call: said({"code": 200, "mess": "string"} | (
              {call.kind.national_id_field: "string"} if call.kind else {"data": {"token": "string"}})), JSON,
          calls=SENT | LOG_IN),
    Entry("wiremock_404", "WireMock", "WireMock, no stub mapping", 404, b"No response could be served", TEXT),
    Entry("aspnet_empty_guid", "ASP.NET", "Guid.Empty, an id that was never set", 200,
          lambda call: said({"code": 200, "mess": "", call.kind.national_id_field if call.kind else "id":
                             "00000000-0000-0000-0000-000000000000"}), JSON, calls=SENT | LOOKED_UP),
)  # fmt: skip
