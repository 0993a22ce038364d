import java.lang.annotation.Annotation;
import java.lang.reflect.Method;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.jws.WebMethod;
import javax.jws.WebParam;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.handler.MessageContext;
import org.tempuri.IOctopusService;
import org.tempuri.OctopusService;

/** JAX-WS RI. Usage: java Client SCRIPT.json. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Map<?, ?> script = (Map<?, ?>) Bean.parse(Files.readString(Path.of(arguments[0])));
        IOctopusService port = new OctopusService(new URL((String) script.get("wsdl"))).getBasicHttpBindingIOctopusService();
        Map<String, List<String>> headers = new HashMap<>();
        ((Map<?, ?>) script.get("headers")).forEach((name, value) -> headers.put((String) name, List.of((String) value)));
        ((BindingProvider) port).getRequestContext().put(MessageContext.HTTP_REQUEST_HEADERS, headers);
        Map<String, Method> methods = new HashMap<>();
        for (Method method : IOctopusService.class.getMethods()) {
            methods.put(method.getAnnotation(WebMethod.class).operationName(), method);
        }
        Map<String, Object> answers = new LinkedHashMap<>();
        for (Object call : (List<?>) script.get("calls")) {
            String operation = (String) ((List<?>) call).get(0);
            Map<?, ?> given = (Map<?, ?>) ((List<?>) call).get(1);
            Method method = methods.get(operation);
            Object[] values = new Object[method.getParameterCount()];
            for (int i = 0; i < values.length; i++) {
                String name = name(method.getParameterAnnotations()[i]);
                Object value = name.equals("accountID") ? script.get("account") : given.get(name);
                values[i] = Bean.typed(method.getParameterTypes()[i], value);
            }
            answers.put(operation, Bean.plain(method.invoke(port, values)));
        }
        System.out.write(Bean.json(answers).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static String name(Annotation[] annotations) {
        for (Annotation annotation : annotations) if (annotation instanceof WebParam parameter) return parameter.name();
        throw new IllegalArgumentException("a parameter without a name");
    }
}
